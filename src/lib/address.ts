import { isIPv6 } from 'node:net';

/** Where to listen or to connect. */
export interface Address {
  /** Lower case. */
  readonly scheme: string;
  /** Name or IP (IPv6 without brackets). Empty: every interface. For `fd` the name or number of the descriptor. */
  readonly host: string;
  /** 0 for sockets and descriptors, and for a listener that takes any free port. */
  readonly port: number;
  /** Begins with a slash. For a listener: the path under which it serves, besides `/`. */
  readonly path: string;
  /** Of a Unix socket. An abstract one begins with a NUL character. */
  readonly socketPath?: string;
  /** Mode mask for a socket that is created. */
  readonly umask?: number;
}

/** What one key accepts. */
export interface AddressRules {
  /** Schemes with their default port; null where the port must be written. */
  readonly schemes: Readonly<Record<string, number | null>>;
  /** Schemes that name a Unix socket; the first is taken for a bare path. */
  readonly sockets: readonly string[];
  /** The scheme when none is written, perhaps by port. */
  readonly defaultScheme: (port: number | null) => string;
  /** Whether a socket, or port 0, is listened on: then a path of one plain segment may follow. */
  readonly listener: boolean;
}

/** Schemes and default ports of a listener. */
export function listenerRules(defaultPort: number): AddressRules {
  return {
    schemes: { tcp: defaultPort, tcp4: defaultPort, tcp6: defaultPort, fd: null },
    sockets: ['unix'],
    defaultScheme: () => 'tcp',
    listener: true,
  };
}

/** Schemes and default port of a server that is connected to by TCP or by socket. */
export function tcpRules(defaultPort: number): AddressRules {
  return {
    schemes: { tcp: defaultPort, tcp4: defaultPort, tcp6: defaultPort },
    sockets: ['unix'],
    defaultScheme: () => 'tcp',
    listener: false,
  };
}

export const udpRules: AddressRules = {
  schemes: { udp: 123, udp4: 123, udp6: 123 },
  sockets: [],
  defaultScheme: () => 'udp',
  listener: false,
};

export const ldapRules: AddressRules = {
  schemes: { ldaps: 636, ldap: 389 },
  sockets: ['ldapi'],
  defaultScheme: () => 'ldaps',
  listener: false,
};

export const smtpRules: AddressRules = {
  schemes: { smtp: 25, submission: 587, submissions: 465 },
  sockets: [],
  defaultScheme: (port) => (port === 465 ? 'submissions' : port === 587 ? 'submission' : 'smtp'),
  listener: false,
};

/**
 * Reads `[scheme://]host[:port][/path]`, or a socket as `/path`, `unix:///path` or `unix://@abstract`, with
 * `?umask=0022` and `?path=segment`. Throws an Error that says what is allowed.
 */
export function parseAddress(text: string, rules: AddressRules): Address {
  if (text === '') throw new Error('must not be empty');
  if (/[\s\0]/.test(text)) throw new Error('must not contain spaces');
  if (text.includes('#')) throw new Error('must have no fragment (#)');
  const [, written, rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(text) ?? [];
  const scheme = written?.toLowerCase();
  if (scheme !== undefined && !Object.hasOwn(rules.schemes, scheme) && !rules.sockets.includes(scheme)) {
    throw new Error(
      `must have one of the schemes ${[...Object.keys(rules.schemes), ...rules.sockets].join(', ')}`,
    );
  }
  if (scheme === undefined ? rest.startsWith('/') : rules.sockets.includes(scheme)) {
    return parseSocket(scheme ?? rules.sockets[0], rest);
  }
  return parseHost(scheme, rest, rules);
}

function parseSocket(scheme: string | undefined, rest: string): Address {
  if (scheme === undefined) throw new Error('must be a host and a port, not a socket');
  const [name, query] = splitOnce(rest, '?');
  if (!/^[/@]./.test(name))
    throw new Error('must name a socket by its absolute path, or an abstract one as @name');
  const parameters = new URLSearchParams(query);
  for (const key of parameters.keys()) {
    if (key !== 'umask' && key !== 'path')
      throw new Error(`must have no parameter but umask and path, found "${key}"`);
  }
  const umask = parameters.get('umask');
  if (umask !== null && !/^[0-7]{3,4}$/.test(umask))
    throw new Error('must have a umask of 3 or 4 octal digits');
  return {
    scheme,
    host: '',
    port: 0,
    path: segment(`/${parameters.get('path') ?? ''}`),
    socketPath: name.startsWith('@') ? `\0${name.slice(1)}` : name,
    ...(umask === null ? {} : { umask: Number.parseInt(umask, 8) }),
  };
}

function parseHost(written: string | undefined, rest: string, rules: AddressRules): Address {
  if (rest.includes('@')) throw new Error('must have no user name or password');
  if (rest.includes('?')) throw new Error('must have no query (?)');
  const slash = rest.indexOf('/');
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '/' : rest.slice(slash);
  if (written === 'fd') {
    if (!/^[\w.-]+$/.test(authority)) throw new Error('must name the inherited descriptor, such as fd://3');
    return { scheme: 'fd', host: authority, port: 0, path: segment(path) };
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(authority);
  if (match === null) throw new Error('must be host:port, with an IPv6 address in brackets');
  const [, six, name = ''] = match;
  if (six !== undefined && !isIPv6(six.replace(/%.*$/, '')))
    throw new Error('must have an IPv6 address in the brackets');
  const typed = match[3] === undefined ? null : Number(match[3]);
  const scheme = written ?? rules.defaultScheme(typed);
  const port = typed ?? rules.schemes[scheme] ?? null;
  if (port === null) throw new Error('must name a port');
  if (port > 65_535 || (port === 0 && !rules.listener)) throw new Error('must have a port from 1 to 65535');
  const host = six ?? name;
  if (host === '' && !rules.listener) throw new Error('must name a host');
  if (six === undefined && !/^[\p{L}\p{N}_.-]*$/u.test(host))
    throw new Error('must have a host name or an IP address');
  return { scheme, host, port, path: rules.listener ? segment(path) : path };
}

function segment(path: string): string {
  if (!/^\/[A-Za-z0-9]*$/.test(path))
    throw new Error('must have a path of one segment of letters and digits');
  return path;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** The address as `parseAddress` reads it. */
export function formatAddress(address: Address): string {
  if (address.socketPath !== undefined) {
    const parameters = [
      ...(address.umask === undefined ? [] : [`umask=${address.umask.toString(8).padStart(4, '0')}`]),
      ...(address.path === '/' ? [] : [`path=${address.path.slice(1)}`]),
    ].join('&');
    return `${address.scheme}://${address.socketPath.replace('\0', '@')}${parameters && `?${parameters}`}`;
  }
  const path = address.path === '/' ? '' : address.path;
  if (address.scheme === 'fd') return `fd://${address.host}${path}`;
  return `${address.scheme}://${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}${path}`;
}
