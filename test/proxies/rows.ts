/** What must hold behind every proxy: requests with what they come to. Rules and users: fixtures/. */
import type { HeaderLine } from '../support/raw-http.ts';
import type { Ask } from './site.ts';

export interface Row {
  readonly name: string;
  /** Only files that are written for it can keep this, whatever the gateway answers: asked of the files of deploy/. */
  readonly byFiles?: true;
  readonly ask: Ask;
  readonly expect: {
    /** One status, or several that are equally right. */
    readonly status: number | readonly number[];
    /** Whether the application gets the request. */
    readonly reaches: boolean;
    /** Sent to the portal: the target that it is told, and the method. */
    readonly signIn?: { readonly rd: string; readonly rm: string };
    /** Headers as the application sees them, whatever their spelling; empty: absent, or without a value. */
    readonly seen?: Readonly<Record<string, string>>;
  };
}

/** A row that does not hold behind a proxy, and why that is so. */
export interface Exception {
  readonly row: string;
  readonly reason: string;
  /** What comes out in its place, which is then tested; without it the row is left out. */
  readonly instead?: Partial<Row['expect']>;
}

const nobody = { 'Remote-User': '', 'Remote-Groups': '', 'Remote-Name': '', 'Remote-Email': '' };
const john = {
  'Remote-User': 'john',
  'Remote-Groups': 'dev,admins',
  'Remote-Name': 'John Doe',
  'Remote-Email': 'john@example.com',
};
const forgedIdentity: HeaderLine[] = [
  ['Remote-User', 'root'],
  ['remote-groups', 'admins'],
  ['REMOTE-NAME', 'Root'],
  ['Remote-Email', 'root@example.com'],
];
const forgedUnderscores: HeaderLine[] = [
  ['Remote_User', 'root'],
  ['REMOTE_GROUPS', 'admins'],
  ['Remote-Groups', 'admins'],
  ['remote_name', 'Root'],
];
/** All of them name the open folder or an open network. */
const forgedForwarding: HeaderLine[] = [
  ['X-Forwarded-Host', 'app2.example.com'],
  ['X-Forwarded-Uri', '/public/'],
  ['X-Forwarded-Method', 'OPTIONS'],
  ['X-Forwarded-Proto', 'http'],
  ['X-Forwarded-Port', '1'],
  ['X-Original-URL', 'https://app1.example.com/public/'],
  ['X-Original-Method', 'OPTIONS'],
  ['X-Authelia-URL', 'https://app2.example.com/'],
  ['X-Forwarded-For', '10.1.1.1'],
  ['X-Real-IP', '10.1.1.1'],
  ['Forwarded', 'for=10.1.1.1;host=app2.example.com;proto=http'],
  ['X-Rewrite-URL', '/public/'],
];
const json: HeaderLine[] = [['Accept', 'application/json']];
const page = (path: string): string => `https://app1.example.com${path}`;

/** Rows with `who` need this user's session; rows without it are an anonymous visitor's. */
export const rows: readonly Row[] = [
  {
    name: 'an anonymous visitor is sent to the portal, the query intact',
    ask: { target: '/a%20b/?q=1&r=%26%2F&s=a+b&t[]=x' },
    expect: {
      status: 302,
      reaches: false,
      signIn: { rd: page('/a%20b/?q=1&r=%26%2F&s=a+b&t[]=x'), rm: 'GET' },
    },
  },
  {
    name: 'an anonymous POST is sent to the portal as a GET',
    ask: { method: 'POST', target: '/form?x=1', body: 'a=1' },
    expect: { status: 303, reaches: false, signIn: { rd: page('/form?x=1'), rm: 'POST' } },
  },
  {
    name: 'an anonymous HEAD is sent to the portal',
    ask: { method: 'HEAD', target: '/' },
    expect: { status: 302, reaches: false, signIn: { rd: page('/'), rm: 'HEAD' } },
  },
  {
    name: 'a script that is not signed in gets 401',
    ask: { target: '/api', headers: [['X-Requested-With', 'XMLHttpRequest']] },
    expect: { status: 401, reaches: false },
  },
  {
    name: 'a program that asks for JSON and is not signed in gets 401',
    ask: { target: '/api', headers: json },
    expect: { status: 401, reaches: false },
  },
  {
    name: 'a wrong Basic password is 401 and not a redirect',
    ask: { target: '/', headers: [['Authorization', `Basic ${btoa('john:wrong')}`]] },
    expect: { status: 401, reaches: false },
  },
  {
    name: 'Basic credentials open a one_factor page',
    ask: { target: '/', headers: [['Authorization', `Basic ${btoa('john:pw-john-Correct1')}`], ...json] },
    expect: { status: 200, reaches: true, seen: john },
  },
  {
    name: 'one factor opens the page, and the application sees who it is',
    ask: { target: '/page?q=1', who: 'john' },
    expect: {
      status: 200,
      reaches: true,
      seen: {
        ...john,
        Host: 'app1.example.com',
        'X-Forwarded-Host': 'app1.example.com',
        'X-Forwarded-Proto': 'https',
      },
    },
  },
  {
    name: 'a name outside ASCII arrives as UTF-8',
    ask: { target: '/', who: 'zoe' },
    expect: { status: 200, reaches: true, seen: { 'Remote-User': 'zoe', 'Remote-Name': 'Zoë 漢字' } },
  },
  {
    name: 'the session holds on another host of the domain',
    ask: { host: 'app2', target: '/private', who: 'john' },
    expect: { status: 200, reaches: true, seen: john },
  },
  { name: 'deny is 403', ask: { target: '/admin', who: 'john' }, expect: { status: 403, reaches: false } },
  {
    name: 'deny is 403 for an anonymous visitor too',
    ask: { target: '/admin' },
    expect: { status: 403, reaches: false },
  },
  {
    name: 'a garbage session is nobody',
    ask: { target: '/', headers: [['Cookie', '__Secure-sallyport=%%%; __Secure-sallyport=x']] },
    expect: { status: 302, reaches: false },
  },
  {
    name: 'bypass lets everybody in without an identity',
    ask: { host: 'app2', target: '/' },
    expect: { status: 200, reaches: true, seen: nobody },
  },
  {
    name: 'a query rule sees the query',
    ask: { target: '/query?open=yes' },
    expect: { status: 200, reaches: true, seen: nobody },
  },
  {
    name: 'a network rule sees the address of the client',
    ask: { target: '/network', from: '127.0.0.2' },
    expect: { status: 200, reaches: true, seen: nobody },
  },
  {
    name: 'a forged address does not open a network rule',
    ask: {
      target: '/network',
      headers: [
        ['X-Forwarded-For', '10.1.1.1'],
        ['X-Real-IP', '10.1.1.1'],
        ['X-Client-IP', '10.1.1.1'],
        ['True-Client-IP', '10.1.1.1'],
        ['CF-Connecting-IP', '10.1.1.1'],
        ['Forwarded', 'for=10.1.1.1'],
      ],
    },
    expect: { status: 302, reaches: false },
  },
  {
    name: 'forged forwarding headers change no decision',
    ask: { target: '/page?q=1', headers: forgedForwarding },
    expect: { status: 302, reaches: false, signIn: { rd: page('/page?q=1'), rm: 'GET' } },
  },
  {
    name: 'forged forwarding headers do not pass a deny',
    ask: { target: '/admin', who: 'john', headers: forgedForwarding },
    expect: { status: 403, reaches: false },
  },
  {
    name: 'forwarding headers for the application come from the connection',
    byFiles: true,
    ask: { target: '/', who: 'john', headers: forgedForwarding, from: '127.0.0.3' },
    expect: {
      status: 200,
      reaches: true,
      seen: {
        'X-Forwarded-For': '127.0.0.3',
        'X-Forwarded-Host': 'app1.example.com',
        'X-Forwarded-Proto': 'https',
        'X-Original-URL': '',
        'X-Original-Method': '',
      },
    },
  },
  {
    name: 'a forged identity is replaced by the real one',
    ask: { target: '/', who: 'zoe', headers: forgedIdentity },
    expect: {
      status: 200,
      reaches: true,
      seen: {
        'Remote-User': 'zoe',
        'Remote-Groups': 'dev',
        'Remote-Name': 'Zoë 漢字',
        'Remote-Email': 'zoe@example.com',
      },
    },
  },
  {
    name: 'a forged identity does not reach an open application',
    ask: { host: 'app2', target: '/', headers: forgedIdentity },
    expect: { status: 200, reaches: true, seen: nobody },
  },
  {
    name: 'a forged identity with underscores does not reach the application',
    byFiles: true,
    ask: { host: 'app2', target: '/', headers: forgedUnderscores },
    expect: { status: 200, reaches: true, seen: nobody },
  },
  {
    name: 'Connection cannot take the identity away',
    byFiles: true,
    ask: {
      target: '/',
      who: 'john',
      headers: [['Connection', 'close, Remote-User, Remote-Groups, X-Forwarded-Host, X-Forwarded-Uri']],
    },
    expect: { status: 200, reaches: true, seen: { ...john, 'X-Forwarded-Host': 'app1.example.com' } },
  },
  {
    name: 'the visitor does not choose the portal',
    ask: { target: '/x?authelia_url=https://app2.example.com/fake&rd=https://evil.example' },
    expect: {
      status: 302,
      reaches: false,
      signIn: {
        rd: page('/x?authelia_url=https://app2.example.com/fake&rd=https://evil.example'),
        rm: 'GET',
      },
    },
  },
  {
    name: 'a query that names a portal does not close the page',
    ask: { target: '/x?authelia_url=https://evil.example/', who: 'john' },
    expect: { status: 200, reaches: true, seen: john },
  },
  {
    name: '7 KB of cookies are no obstacle',
    ask: { target: '/', who: 'john', headers: [['Cookie', `other=${'c'.repeat(7000)}`]] },
    expect: { status: 200, reaches: true, seen: john },
  },
  {
    name: 'an unusual path arrives as it was sent',
    ask: { target: "/files/a%2Fb/%E2%9C%93/x;v=1/~u/(1)+'2'?x=%26&y", who: 'john' },
    expect: { status: 200, reaches: true, seen: john },
  },
  {
    name: 'an unusual method arrives as it was sent',
    ask: { method: 'PROPFIND', target: '/dav/', who: 'john' },
    expect: { status: 200, reaches: true, seen: john },
  },
  ...[401, 403, 404, 500, 503].map((status): Row => ({
    name: `the application's own ${status} is left alone`,
    ask: { target: `/status/${status}`, who: 'john' },
    expect: { status, reaches: true, seen: john },
  })),
  {
    name: 'the authorization endpoints are closed to visitors',
    byFiles: true,
    ask: {
      host: 'auth',
      target: '/api/authz/forward-auth',
      headers: [
        ['X-Forwarded-Method', 'GET'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'app2.example.com'],
        ['X-Forwarded-Uri', '/'],
      ],
    },
    expect: { status: 404, reaches: false },
  },
  {
    name: 'a host that nobody configured is no way in',
    byFiles: true,
    ask: { target: '/', who: 'john', headers: [['Host', 'other.example.com']] },
    expect: { status: [400, 404, 421], reaches: false },
  },
];

/** Spellings of the denied folder /admin, in the eyes of some application. */
export const deniedSpellings: readonly string[] = [
  '/admin',
  '/admin/',
  '/admin?x=1',
  '//admin',
  '///admin//',
  '/./admin',
  '/x/../admin',
  '/public/../admin',
  '/admin/../public',
  '/admin/%2e%2e/public',
  '/admin/..%2fpublic',
  '/public/./../admin',
  '/public//../admin',
  '/public/..;/admin',
  '/public/..;x=1/admin',
  '/public/%2e%2e/admin',
  '/public/.%2e/admin',
  '/public/%2e%2e%2fadmin',
  '/public%2f..%2fadmin',
  '/public/..%2fadmin',
  '/public/..%5cadmin',
  '/public/..\\admin',
  '/public\\..\\admin',
  '/public/%252e%252e/admin',
  '/public/..%252fadmin',
  '/public/..%c0%afadmin',
  '/public/%c0%ae%c0%ae/admin',
  '/public/%ef%bc%8e%ef%bc%8e/admin',
  '/admin%2f',
  '/admin%2Fx',
  '/%61dmin',
  '/%2561dmin',
  '/admin;x=1',
  '/;x/admin',
  '/admin;/x',
  '/x\\..\\admin',
  '\\admin',
  '/\\admin',
  '/admin%00',
  '/admin%00.png',
  '/admin%0a',
  '/admin%23',
  '/admin%3fx',
  '/admin#x',
  '/admin%23/public/',
  '/public/#/../../admin',
  'https://app1.example.com/admin',
  'https://app1.example.com//admin',
];
