import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { auditCommand } from '../../src/cli/audit.ts';
import { tellRevoked } from '../../src/cli/tell-revoked.ts';
import { formatProblem, loadConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { createGatewayTelemetry } from '../../src/gateway-telemetry.ts';
import { openGatewayStorage } from '../../src/gateway-storage.ts';
import { formatMetrics } from '../../src/lib/metrics.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { eventually } from '../support/eventually.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { RawAnswer } from '../support/raw-http.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { ask } from '../support/wire.ts';
import { type InProcessGateway, PASSWORD, startInProcess } from './in-process.ts';

/** What the whole gateway tells of what happens: metrics on their own listener, the audit log, mail to people. */

let folder: string;
let sections: string;
let gateway: InProcessGateway;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'telemetry-'));
  sections = `
storage: { encryption_key: a-key-for-tests-only-a-key, local: { path: '${folder}/db.sqlite3' } }
notifier: { disable_startup_check: true, filesystem: { filename: '${folder}/mail.txt' } }
telemetry: { metrics: { enabled: true, address: 'tcp://127.0.0.1:0/metrics' } }
`;
  gateway = await startInProcess((text) => text + sections);
});
afterEach(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

const behindProxy = (host = 'auth.example.com') =>
  [
    ['Host', host],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', host],
    ['X-Forwarded-For', '203.0.113.5'],
  ] as const;
const signIn = (password = PASSWORD, username = 'john'): Promise<RawAnswer> =>
  ask(
    gateway.port,
    'POST',
    '/api/firstfactor',
    [...behindProxy(), ['Content-Type', 'application/json']],
    JSON.stringify({ username, password }),
  );
const decide = (host: string, more: readonly (readonly [string, string])[] = []): Promise<RawAnswer> =>
  ask(gateway.port, 'GET', '/api/authz/forward-auth', [
    ...behindProxy(host),
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-URI', '/secret/path?token=hidden'],
    ['Accept', 'text/html'],
    ...more,
  ]);

function metricsPort(): number {
  const address = gateway.gateway.telemetry.server?.address();
  if (!address || typeof address === 'string') throw new Error('no metrics are served');
  return address.port;
}

async function metrics(): Promise<string> {
  return (await fetch(`http://127.0.0.1:${metricsPort()}/metrics`)).text();
}

/** The configuration of the command line: other people and sessions, the same storage. */
function configurationFile(): string {
  const file = join(folder, 'configuration.yml');
  writeFileSync(
    file,
    `
authentication_backend: { file: { path: users.yml } }
session:
  secret: a-secret-for-tests-only
  cookies: [{ domain: example.com, authelia_url: 'https://auth.example.com' }]
access_control: { default_policy: deny, rules: [{ domain: app.example.com, policy: one_factor }] }
${sections}`,
  );
  return file;
}

function configuration(): Configuration {
  const { config, problems } = loadConfiguration({
    files: [configurationFile()],
    environment: {},
    filters: [],
  });
  if (!config) throw new Error(problems.map(formatProblem).join('\n'));
  return config;
}

function recordingIo() {
  const said = { out: '', err: '', code: 0 };
  const io = {
    out: (text: string) => void (said.out += text),
    err: (text: string) => void (said.err += text),
    environment: {},
    exit: (code: number) => void (said.code = code),
  };
  return { said, io };
}

async function auditList(...words: string[]): Promise<typeof said> {
  const { said, io } = recordingIo();
  await auditCommand(io).parseAsync(['list', ...words, '--config', configurationFile()], { from: 'user' });
  return said;
}

interface AuditView {
  readonly id: number;
  readonly at: string;
  readonly event: string;
  readonly username: string | null;
  readonly ip: string | null;
  readonly details: Record<string, unknown>;
}

async function records(...words: string[]): Promise<AuditView[]> {
  return JSON.parse((await auditList(...words, '--json')).out) as AuditView[];
}

describe('metrics', () => {
  test("count what happened, under Authelia's names and ours, and tell of nobody", async () => {
    await signIn('wrong');
    await signIn();
    expect((await decide('open.example.com')).status).toBe(200);
    expect((await decide('app.example.com')).status).toBe(302);
    expect((await decide('app.example.com')).status).toBe(302);
    expect((await decide('nowhere.example.net')).status).toBe(400);
    await ask(gateway.port, 'GET', '/api/health', [['Host', 'x']]);
    const text = await metrics();
    const lines = text.split('\n');
    for (const line of [
      'authelia_authz{code="200"} 1',
      'authelia_authz{code="302"} 2',
      'authelia_authz{code="400"} 1',
      'authelia_request{code="302",method="GET"} 2',
      'authelia_request{code="401",method="POST"} 1',
      'authelia_request{code="200",method="POST"} 1',
      'authelia_authn{success="false",banned="false"} 1',
      'authelia_authn{success="true",banned="false"} 1',
      'authelia_authn_duration_count{success="true"} 1',
      'sallyport_decisions_total{outcome="allow"} 1',
      'sallyport_decisions_total{outcome="login"} 2',
      'sallyport_decisions_total{outcome="bad-request"} 1',
      'sallyport_session_store_up 1',
      'sallyport_storage_up 1',
      'sallyport_mail_waiting 0',
      'sallyport_mail_server_up 1',
    ])
      expect(lines).toContain(line);
    expect(text).not.toMatch(/john|203\.0\.113|example|secret|hidden/);
  });

  test('are nowhere on the listener of the portal', async () => {
    for (const path of ['/metrics', '/metrics/', '/api/metrics'])
      expect((await ask(gateway.port, 'GET', path, behindProxy())).status).toBe(404);
  });

  test('tell when the storage does not answer, and still come', async () => {
    const config = configuration();
    const deps = { clock: fakeClock(), random: systemRandom, logger: recordingLogger() };
    const telemetry = createGatewayTelemetry(config, deps);
    const kept = await openGatewayStorage(config, { ...deps, events: telemetry.events });
    telemetry.watch(kept);
    await kept?.close();
    const text = formatMetrics(await telemetry.read());
    expect(text).toContain('\nsallyport_storage_up 0\n');
    expect(text).toContain('\nprocess_resident_memory_bytes ');
  });
});

describe('the audit log', () => {
  const names = (list: readonly AuditView[]): string[] => list.map(({ event }) => event);

  test('has what happened, with who and from where, the newest first; and no secret', async () => {
    await signIn('a wrong password');
    await signIn();
    await gateway.changeUsers((text) => text);
    const found = await eventually('three records', 5000, async () => {
      const list = await records();
      return list.length >= 3 ? list : undefined;
    });
    expect(names(found).toSorted()).toEqual(['configuration.reloaded', 'login.succeeded', 'proof.failed']);
    expect(found.find(({ event }) => event === 'login.succeeded')).toMatchObject({
      username: 'john',
      ip: '203.0.113.5',
      details: { device: 'first' },
    });
    expect(found.find(({ event }) => event === 'proof.failed')?.details).toEqual({ proof: 'password' });
    expect(found.map(({ id }) => id)).toEqual(found.map(({ id }) => id).toSorted((a, b) => b - a));
    expect(JSON.stringify(found)).not.toContain('a wrong');
    expect(JSON.stringify(found)).not.toContain(PASSWORD);

    const table = await auditList('--user', 'john');
    expect(table.out).toMatch(/^id +time +event +user +address +details\n/);
    expect(table.out).toMatch(/proof\.failed +john +203\.0\.113\.5 +proof=password\n/);
    expect(table.out).not.toContain('configuration.reloaded');
    expect(names(await records('--event', 'proof.failed'))).toEqual(['proof.failed']);
    expect(await records('--limit', '1')).toHaveLength(1);
    expect(await records('--since', '2030-01-01T00:00:00Z')).toEqual([]);
    expect(await records('--since', '2020-01-01T00:00:00+01:00')).toHaveLength(3);
    expect((await auditList('--user', 'harry')).out).toBe('There is nothing.\n');
  });

  test.each([
    [['--since', 'yesterday'], '--since must be a duration such as 7d'],
    [['--since', '2026-01-01T00:00:00'], '--since must be a duration such as 7d'],
    [['--limit', '0'], '--limit must be a whole number from 1 to'],
  ])('says what is wrong with %j', async (words, message) => {
    const { err, code } = await auditList(...words);
    expect([err, code]).toEqual([expect.stringContaining(message), 1]);
  });

  test('is complete when the gateway has closed', async () => {
    await signIn('wrong');
    await gateway.gateway.close(0);
    expect(names(await records())).toEqual(['proof.failed']);
  });
});

test('whose sessions an operator ends gets a mail by the gateway, and the audit log has it', async () => {
  const config = configuration();
  const { said, io } = recordingIo();
  const example = {
    key: 'key',
    publicId: 'one',
    version: 1,
    userId: 'john',
    sid: null,
    cookieDomain: 'example.com',
    remembered: false,
    createdAt: 0,
    expiresAt: 0,
    lastActivity: 0,
    payload: {
      factors: [],
      profile: { username: 'john', displayName: 'John Doe', emails: ['john@example.com'], groups: [] },
      refreshedAt: 0,
      device: { userAgent: '', ip: '' },
      portalBinding: '',
    },
  };
  await tellRevoked({ username: 'john', count: 2, ended: ['one', 'two'], example }, config, io);
  expect(said.err).toBe('');
  const found = await records('--user', 'john');
  expect(found.map(({ event, details }) => [event, details])).toEqual([
    ['sessions.revoked', { count: 2, by: 'operator' }],
    ['session.ended', { session: 'two', reason: 'revoked' }],
    ['session.ended', { session: 'one', reason: 'revoked' }],
  ]);
  expect(await metrics()).toContain('\nsallyport_mail_waiting 1\n');

  const broken = { ...config, storage: { ...config.storage, encryption_key: 'another-key-than-that-one' } };
  const again = recordingIo();
  await tellRevoked(
    { username: 'john', count: 1, ended: [], example: null },
    broken as unknown as Configuration,
    again.io,
  );
  expect(again.said.err).toMatch(/^warning: the sessions have ended, but nothing is in the audit log/);
});

test('a listener that cannot be is told with its key', async () => {
  const port = metricsPort();
  const second = startInProcess((text) => text + sections.replace('127.0.0.1:0', `127.0.0.1:${port}`));
  await expect(second).rejects.toThrow(
    `telemetry.metrics.address: cannot listen on tcp://127.0.0.1:${port}/metrics (EADDRINUSE)`,
  );
  expect(readFileSync(join(folder, 'db.sqlite3')).length).toBeGreaterThan(0);
});
