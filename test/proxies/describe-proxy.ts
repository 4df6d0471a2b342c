/** Everything that must hold behind one proxy, as tests: with a real gateway, and with one that misbehaves. */
// oxlint-disable vitest/expect-expect -- rows are checked by check-row.ts, the other tests come in as functions
import type { OutgoingHttpHeaders } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import type { Seen } from '../support/echo-application.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import type { RawAnswer } from '../support/raw-http.ts';
import {
  allowAnybody,
  type Behaviour,
  type StandInGateway,
  startStandInGateway,
} from '../support/stand-in-gateway.ts';
import type { TestCertificate } from '../support/test-authority.ts';
import { checkRow } from './check-row.ts';
import { type Http2Answer, http2Request } from './http2-request.ts';
import { openWebSocket } from './open-web-socket.ts';
import type { Proxy } from './proxy.ts';
import { deniedSpellings, type Exception, rows } from './rows.ts';
import { type Ask, openSite, seenBy, seenHeader, type Site } from './site.ts';

/** How long a visitor may wait for a refusal when the gateway does not answer. */
const REFUSAL_MS = 3500;
const RECOVERY_MS = 8000;

/** What all proxies of a file share; there from `beforeAll` on. */
export interface Surroundings {
  readonly gateway: GatewayProcess;
  readonly certificate: TestCertificate;
}

/** Defines the tests. What is excepted is announced with its reason; one that names no test fails. */
export function describeProxy(
  proxy: Proxy,
  exceptions: readonly Exception[],
  surroundings: () => Surroundings,
): void {
  const missing = proxy.find() === undefined;
  const skipped = missing && (proxy.optional || !mustBeComplete);
  if (skipped)
    announce(
      `SKIPPED: ${proxy.name} is not installed${proxy.optional ? '' : ' (scripts/install-test-servers)'}`,
    );

  const unused = new Set(exceptions);
  const exceptionOf = (name: string): Exception | undefined => {
    const exception = exceptions.find(({ row }) => row === name);
    if (!exception) return undefined;
    unused.delete(exception);
    announce(
      `${exception.instead ? 'DIFFERENT' : 'LEFT OUT'} behind ${proxy.name}: ${name}. ${exception.reason}`,
    );
    return exception;
  };
  const must = (name: string, run: () => Promise<void>): void => {
    it.skipIf(exceptionOf(name))(name, run);
  };
  /** What no gateway can bring about behind files that were not written for it. */
  const ourFilesMust = proxy.ours ? must : (): void => {};

  describe.skipIf(skipped)(proxy.name, () => {
    let site: Site;

    beforeAll(async () => {
      site = await openSite(proxy, surroundings().gateway.port, surroundings().certificate);
      for (const user of ['john', 'zoe'] as const) expect((await site.signIn(user)).status).toBe(200);
    });
    afterAll(() => site?.close());

    for (const row of rows.filter(({ byFiles }) => proxy.ours || !byFiles)) {
      const exception = exceptionOf(row.name);
      const expected = { ...row, expect: { ...row.expect, ...exception?.instead } };
      it.skipIf(exception && !exception.instead)(row.name, () => checkRow(site, expected));
    }

    must('the session cookie arrives at the browser as the gateway set it', async () => {
      const answer = await site.signIn('john');
      const cookie = answer.all('set-cookie').find((line) => line.startsWith('__Secure-sallyport='));
      expect(cookie?.toLowerCase()).toContain('domain=example.com');
      expect(cookie?.toLowerCase()).toContain('; secure');
      expect(cookie?.toLowerCase()).toContain('; httponly');
    });

    must('no spelling of a denied path reaches the application', async () => {
      for (const who of ['john', undefined] as const) {
        for (const target of deniedSpellings) {
          const before = site.arrivals();
          const status = await site.ask({ target, ...(who && { who }) }).then(
            (answer) => answer.status,
            () => 'closed',
          );
          expect(site.arrivals(), `${who ?? 'anonymous'} ${target}: ${status}`).toBe(before);
          expect(status, `${who ?? 'anonymous'} ${target}`).not.toBe(200);
        }
      }
    });

    must('a request body arrives whole, with and without a length', async () => {
      const body = Buffer.alloc(2_000_000, 'body');
      const plain = await site.ask({ method: 'POST', target: '/upload', who: 'john', body });
      expect(seenBy(plain)).toMatchObject({ method: 'POST', bodyLength: body.length });
      const chunked = await site.ask({
        method: 'PUT',
        target: '/upload',
        who: 'john',
        headers: [['Transfer-Encoding', 'chunked']],
        body: '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
      });
      expect(seenBy(chunked)).toMatchObject({ method: 'PUT', bodyLength: 11 });
    });

    must('a WebSocket opens with a session', async () => {
      const { certificate } = surroundings();
      const open = await openWebSocket(site.proxy.httpsPort, certificate.authority, [
        ['Cookie', site.cookieOf('john')],
      ]);
      expect(open.status).toBe(101);
      expect(open.echo).toBe('hello');
      expect(open.seen && seenHeader(open.seen, 'remote-user')).toEqual(['john']);
    });

    must('a WebSocket does not open without a session', async () => {
      const before = site.arrivals();
      const { status } = await openWebSocket(site.proxy.httpsPort, surroundings().certificate.authority, []);
      expect(proxy.ours ? [401] : [401, 302]).toContain(status);
      expect(site.arrivals()).toBe(before);
    });

    must('parallel requests of several people are never mixed up', async () => {
      const people = ['john', 'zoe', undefined] as const;
      const answers = await Promise.all(
        Array.from({ length: 90 }, (_, i) => {
          const who = people[i % people.length];
          return site.ask({ host: 'app2', target: `/${i}`, ...(who && { who }) });
        }),
      );
      const mistakes = answers.flatMap((answer, i) => {
        const seen = seenBy(answer);
        const right = `/${i} ${people[i % people.length] ?? ''}`;
        const actual = seen && `${seen.target} ${seenHeader(seen, 'remote-user').join('')}`;
        return actual === undefined || actual === right ? [] : [`${actual} instead of ${right}`];
      });
      expect(mistakes).toEqual([]);
      expect(answers.filter((answer) => answer.status !== 200).length).toBeLessThan(3);
    });

    must('HTTP/2 comes to the same', async () => {
      const { certificate } = surroundings();
      const ask = (headers: OutgoingHttpHeaders): Promise<Http2Answer> =>
        http2Request(site.proxy.httpsPort, certificate.authority, headers);
      // Browsers send every cookie in a field of its own (RFC 9113, section 8.2.3).
      const cookie = ['first=1', site.cookieOf('john'), 'last=2'];
      const open = await ask({ ':path': '/page?q=1', cookie, 'remote-user': 'root' });
      expect(open.status).toBe(200);
      const seen = JSON.parse(open.body) as Seen;
      expect(seenHeader(seen, 'remote-user')).toEqual(['john']);
      expect(seen.target).toBe('/page?q=1');
      const closed = await ask({ ':path': '/page?q=1' });
      expect(closed.status).toBe(302);
      expect(new URL(closed.headers.location ?? '').searchParams.get('rd')).toBe(
        'https://app1.example.com/page?q=1',
      );
    });

    ourFilesMust('no answer of the gateway is kept by a cache', async () => {
      const { all: redirect } = await site.ask({ target: '/' });
      const { all: unauthorized } = await site.ask({
        target: '/',
        headers: [['Accept', 'application/json']],
      });
      expect([redirect('cache-control'), unauthorized('cache-control')]).toEqual([
        ['no-store'],
        ['no-store'],
      ]);
    });

    ourFilesMust('a 401 says where the portal is', async () => {
      const answer = await site.ask({ target: '/', headers: [['Accept', 'application/json']] });
      expect(answer.all('location')).toEqual([
        expect.stringMatching(/^https:\/\/auth\.example\.com\/\?rd=https/),
      ]);
    });

    ourFilesMust('plain http is sent to https', async () => {
      const answer = await site.askPlainly('/a?b=c');
      expect([301, 308]).toContain(answer.status);
      expect(answer.header('location')).toMatch(/^https:\/\/app1\.example\.com(:\d+)?\/a\?b=c$/);
    });

    ourFilesMust('a frozen gateway closes everything within seconds, then it goes on', async () => {
      surroundings().gateway.freeze();
      try {
        await expectRefused(site, { target: '/', who: 'john' });
      } finally {
        surroundings().gateway.thaw();
      }
      await eventually('the page is open again', RECOVERY_MS, async () => {
        const answer = await site.ask({ target: '/', who: 'john' });
        return answer.status === 200 ? answer : undefined;
      });
    });

    must('a killed gateway closes everything at once, and the next one opens it', async () => {
      await surroundings().gateway.kill();
      try {
        await expectRefused(site, { target: '/', who: 'john' });
      } finally {
        await surroundings().gateway.restart();
      }
      await eventually('signing in works again', RECOVERY_MS, async () => {
        const answer = await site.signIn('john');
        return answer.status === 200 ? answer : undefined;
      });
      await eventually('the page is open again', RECOVERY_MS, async () => {
        const answer = await site.ask({ target: '/', who: 'john' });
        return answer.status === 200 ? answer : undefined;
      });
    });
  });

  describe.skipIf(skipped)(`${proxy.name}, in front of a gateway that misbehaves`, () => {
    let standIn: StandInGateway;
    let site: Site;

    beforeAll(async () => {
      standIn = await startStandInGateway();
      site = await openSite(proxy, standIn.port, surroundings().certificate);
    });
    afterAll(async () => {
      await site?.close();
      await standIn?.close();
    });

    for (const { name, behaviour } of misbehaviours) {
      must(`${name}: nothing gets through`, async () => {
        standIn.behave(behaviour);
        await expectRefused(site);
        standIn.behave(allowAnybody);
        await eventually('it recovers', RECOVERY_MS, async () => seenBy(await site.ask({ target: '/' })));
      });
    }

    ourFilesMust('a 200 without any identity brings in no forged one', async () => {
      standIn.behave((_request, response) => response.writeHead(200, { 'Content-Length': 0 }).end());
      const names = ['Remote-User', 'Remote-Groups', 'Remote-Name', 'Remote-Email'];
      const answer = await site.ask({ target: '/', headers: names.map((name) => [name, 'root'] as const) });
      const seen = seenBy(answer);
      // Behind Caddy the page stays closed then.
      expect(answer.status).toBe(seen ? 200 : 503);
      expect(names.flatMap((name) => (seen ? seenHeader(seen, name) : [])).filter(Boolean)).toEqual([]);
    });

    ourFilesMust('the gateway is asked without a body and without what the visitor forged', async () => {
      standIn.behave(allowAnybody);
      standIn.questions.length = 0;
      const forged = [
        'X-Forwarded-Host',
        'X-Forwarded-Uri',
        'X-Forwarded-Method',
        'X-Forwarded-For',
        'X-Forwarded-Port',
      ];
      const others = [
        'X-Original-URL',
        'X-Original-Method',
        'X-Authelia-URL',
        'Remote-User',
        'X_Forwarded_Host',
        'Remote_User',
      ];
      await site.ask({
        method: 'POST',
        target: '/form?query=1',
        headers: [...forged, ...others].map((name) => [name, 'forged'] as const),
        body: 'x'.repeat(100_000),
      });
      expect(standIn.questions).toHaveLength(1);
      const [question] = standIn.questions;
      expect(question?.bodyLength).toBe(0);
      expect(JSON.stringify(question)).not.toContain('forged');
      expect(question?.headers.filter(([name]) => name.toLowerCase() === 'transfer-encoding')).toEqual([]);
      if (!proxy.name.startsWith('envoy'))
        expect(question?.target).toMatch(/^\/api\/authz\/(forward-auth|auth-request)$/);
    });

    ourFilesMust('questions share their connections', async () => {
      standIn.behave(allowAnybody);
      await site.ask({ target: '/' });
      const before = standIn.connections;
      for (let i = 0; i < 20; i++) expect((await site.ask({ target: '/' })).status).toBe(200);
      // One for each worker of the proxy, which does not share its connections with the others.
      expect(standIn.connections - before).toBeLessThanOrEqual(4);
    });
  });

  it(`${proxy.name}: every exception names a test`, () => {
    expect([...unused]).toEqual([]);
  });
}

let refusals = 0;

/**
 * Nobody decides, so nothing gets through: neither a protected page nor an open one. What is asked for has a name of its own,
 * as something that was allowed before may arrive now.
 */
async function expectRefused(site: Site, ...more: readonly Ask[]): Promise<void> {
  const mark = `refused-${++refusals}`;
  const asks: readonly Ask[] = [{ target: '/' }, { host: 'app2', target: '/' }, ...more];
  const answers: RawAnswer[] = await Promise.all(
    asks.map((ask) => site.ask({ ...ask, target: `${ask.target}?${mark}` })),
  );
  for (const answer of answers) {
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.elapsedMs).toBeLessThan(REFUSAL_MS);
  }
  expect(site.targets().filter((target) => target.includes(mark))).toEqual([]);
}

const misbehaviours: readonly { readonly name: string; readonly behaviour: Behaviour }[] = [
  ...[400, 404, 500, 502, 503].map((status) => ({
    name: `an answer ${status}`,
    behaviour: ((_request, response) => response.writeHead(status).end('no')) satisfies Behaviour,
  })),
  { name: 'no answer', behaviour: () => {} },
  { name: 'a closed connection', behaviour: (request) => request.socket.destroy() },
  { name: 'an answer that is not HTTP', behaviour: (request) => request.socket.end('200 OK\r\n\r\n') },
  {
    name: 'half an answer',
    behaviour: (request) => request.socket.end('HTTP/1.1 200 OK\r\nRemote-User: root\r\n'),
  },
];
