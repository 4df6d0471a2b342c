import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { createAuthority, issueServerCertificate } from '../lib/certificates.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { hashPassword } from '../users/digest.ts';
import { DEFAULT_PASSWORD_OPTIONS } from '../users/password-options.ts';

/** The demo's folder: made once, then kept, so that the browser's trust and the passwords stay. */
export interface DemoFiles {
  readonly configuration: string;
  readonly sites: readonly string[];
  readonly people: readonly Person[];
}

interface Person {
  readonly name: string;
  readonly displayName: string;
  readonly groups: readonly string[];
  readonly password: string;
}

const DOMAIN = 'demo.localhost';
export const PORTAL = `auth.${DOMAIN}`;
/** The newest mail, in the demo's folder. */
export const MAIL = 'mail.txt';
export const COOKIE_NAME = '__Secure-sallyport';
const SITES = ['whoami', 'admin', 'public', 'bank'].map((name) => `${name}.${DOMAIN}`);
const PEOPLE = [
  { name: 'alice', displayName: 'Alice Ångström', groups: ['admins', 'family'] },
  { name: 'bob', displayName: 'Bob', groups: ['family'] },
] as const;

export async function prepareDemo(
  folder: string,
  port: number,
  deps: { readonly clock: Clock; readonly random: Random },
): Promise<DemoFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const at = (name: string): string => join(folder, name);
  const write = (name: string, text: string): void => writeFileSync(at(name), text, { mode: 0o600 });

  if (!existsSync(at('certificate.pem'))) {
    const authority = await createAuthority(
      { commonName: 'Sallyport demo authority', permitted: [DOMAIN] },
      deps,
    );
    const issued = await issueServerCertificate(authority, [DOMAIN, `*.${DOMAIN}`], {}, deps);
    write('ca.pem', authority.certificate);
    write('key.pem', issued.privateKey);
    write('certificate.pem', issued.certificate);
  }
  if (!existsSync(at('people.json'))) {
    const people = PEOPLE.map((person) => ({
      ...person,
      password: deps.random.bytes(9).toString('base64url'),
    }));
    write('users.yml', await usersFile(people, deps.random));
    write('people.json', `${JSON.stringify(people, null, 2)}\n`);
  }
  for (const name of ['session-secret', 'storage-key']) {
    if (!existsSync(at(name))) write(name, `${deps.random.bytes(48).toString('base64url')}\n`);
  }
  write('configuration.yml', configuration(at, port, direct(at, port)));
  const people = JSON.parse(readFileSync(at('people.json'), 'utf8')) as readonly Person[];
  return { configuration: at('configuration.yml'), sites: SITES, people };
}

async function usersFile(people: readonly Person[], random: Random): Promise<string> {
  const entries = await Promise.all(
    people.map(async ({ name, displayName, groups, password }) => {
      const digest = await hashPassword(password, DEFAULT_PASSWORD_OPTIONS, random);
      return `  ${name}:
    displayname: ${JSON.stringify(displayName)}
    password: '${digest}'
    email: ${name}@${DOMAIN}
    groups: [${groups.join(', ')}]
`;
    }),
  );
  return `users:\n${entries.join('')}`;
}

/** The configuration of one of several replicas, behind the demo's own front; answers where it stands. */
export function writeReplica(
  folder: string,
  number: number,
  {
    port,
    replicaPort,
    store,
  }: { readonly port: number; readonly replicaPort: number; readonly store: string },
): string {
  const at = (name: string): string => join(folder, name);
  const file = at(`replica-${number}.yml`);
  const listener = `server:\n  address: 'tcp://127.0.0.1:${replicaPort}/'\nlog:\n  level: warn\n`;
  writeFileSync(file, configuration(at, port, listener, storeSection(store)), { mode: 0o600 });
  return file;
}

function storeSection(store: string): string {
  const url = new URL(store);
  const login =
    (url.username && `    username: '${decodeURIComponent(url.username)}'\n`) +
    (url.password && `    password: '${decodeURIComponent(url.password)}'\n`);
  if (url.protocol === 'redis:')
    return `  redis:\n    host: ${url.hostname}\n    port: ${url.port || 6379}\n${login}`;
  if (!/^postgres(?:ql)?:$/.test(url.protocol))
    throw new Error(`--store: ${url.protocol} is neither redis: nor postgres:`);
  return `  postgres:\n    address: 'tcp://${url.hostname}:${url.port || 5432}'\n    database: '${url.pathname.slice(1)}'\n${login}`;
}

/** The gateway speaks TLS itself. */
function direct(at: (name: string) => string, port: number): string {
  const path = (name: string): string => JSON.stringify(at(name));
  return `server:
  address: 'tcp://127.0.0.1:${port}/'
  tls:
    certificate: ${path('certificate.pem')}
    key: ${path('key.pem')}
`;
}

function configuration(at: (name: string) => string, port: number, listener: string, store = ''): string {
  const path = (name: string): string => JSON.stringify(at(name));
  const secretOf = (name: string): string => readFileSync(at(name), 'utf8').trim();
  return `# Written by "sallyport demo" at each start.
${listener}
theme: auto

authentication_backend:
  file:
    path: ${path('users.yml')}

session:
  name: ${COOKIE_NAME}
  secret: '${secretOf('session-secret')}'
  expiration: 12h
  inactivity: 1h
  cookies:
    - domain: ${DOMAIN}
      authelia_url: 'https://${PORTAL}:${port}'
${store}
storage:
  encryption_key: '${secretOf('storage-key')}'
  local:
    path: ${path('storage.sqlite3')}

# Mail is written to a file, the newest one to be read there.
notifier:
  filesystem:
    filename: ${path(MAIL)}

totp:
  issuer: Sallyport demo

access_control:
  default_policy: deny
  rules:
    - domain: public.${DOMAIN}
      policy: bypass
    - domain: bank.${DOMAIN}
      policy: two_factor
    - domain: admin.${DOMAIN}
      subject: 'group:admins'
      policy: one_factor
    - domain: admin.${DOMAIN}
      policy: deny
    - domain: whoami.${DOMAIN}
      policy: one_factor
`;
}
