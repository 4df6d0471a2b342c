import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { auditCommand } from '../../../src/cli/audit.ts';
import { storageCommand } from '../../../src/cli/storage.ts';

const KEY = 'a-key-for-tests-only-a-key';
const NEXT_KEY = 'the-next-key-for-tests-only';
const SECRET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

let folder = '';
const file = (name: string): string => join(folder, name);
const configure = (key: string): void =>
  writeFileSync(
    file('configuration.yml'),
    `
authentication_backend: { file: { path: users.yml } }
session:
  secret: a-secret-for-tests-only
  cookies: [{ domain: example.com, authelia_url: 'https://auth.example.com' }]
storage: { encryption_key: ${key}, local: { path: '${file('db.sqlite3')}' } }
notifier: { filesystem: { filename: mail.txt } }
access_control: { default_policy: deny, rules: [{ domain: app.example.com, policy: one_factor }] }
`,
  );
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storage-'));
  configure(KEY);
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(...words: readonly string[]): Promise<{ out: string; err: string; code: number }> {
  let [out, err, code] = ['', '', 0];
  const command = storageCommand({
    out: (text) => (out += text),
    err: (text) => (err += text),
    environment: {},
    exit: (status) => (code = status),
  });
  await command.parseAsync([...words, '--config', file('configuration.yml')], { from: 'user' });
  return { out, err, code };
}

describe('storage user totp', () => {
  it('makes an authenticator with a given secret, once', async () => {
    const { out, code } = await run('user', 'totp', 'generate', 'john', '--secret', SECRET);
    expect(code).toBe(0);
    expect(out).toContain(`otpauth://totp/Authelia:john?issuer=Authelia&secret=${SECRET}`);
    expect(await run('user', 'totp', 'generate', 'john')).toMatchObject({
      code: 1,
      err: 'sallyport: john has an authenticator already; --force replaces it\n',
    });
    const forced = await run(
      'user',
      'totp',
      'generate',
      'john',
      '--force',
      '--algorithm',
      'sha512',
      '--digits',
      '8',
      '--period',
      '60',
      '--issuer',
      'Home',
    );
    expect(forced.out).toMatch(/issuer=Home&secret=[A-Z2-7]{52}&algorithm=SHA512&digits=8&period=60/);
    expect(statSync(file('db.sqlite3')).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['--secret', 'abc', 'must be Base32'],
    ['--algorithm', 'md5', '--algorithm must be one of SHA1, SHA256, SHA512'],
    ['--digits', '7', '--digits must be one of 6, 8'],
    ['--period', '5', '--period must be a whole number from 15 to 3600'],
    ['--secret-size', 'x', '--secret-size must be a whole number from 20 to 256'],
  ])('refuses %s %s', async (option, value, message) => {
    const { err, code } = await run('user', 'totp', 'generate', 'john', option, value);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });

  it('exports in four forms and imports what it exported', async () => {
    await run('user', 'totp', 'generate', 'john', '--secret', SECRET);
    await run('user', 'totp', 'generate', 'a/b "c"', '-p', file('one.png'));
    expect((await run('user', 'totp', 'export', 'uri')).out.split('\n')).toHaveLength(3);
    await run('user', 'totp', 'export', '--file', file('all.yml'));
    await run('user', 'totp', 'export', 'csv', '--file', file('all.csv'));
    await run('user', 'totp', 'export', 'png', '--directory', file('codes'));
    expect(readFileSync(file('all.csv'), 'utf8')).toContain(
      `"Authelia","john","SHA1","6","30","${SECRET}"\r\n`,
    );
    expect(readFileSync(file('all.csv'), 'utf8')).toContain('"a/b ""c"""');
    for (const png of ['one.png', 'codes/john.png', 'codes/a%2Fb%20%22c%22.png']) {
      expect(readFileSync(file(png)).subarray(1, 4).toString()).toBe('PNG');
      expect(statSync(file(png)).mode & 0o777).toBe(0o600);
    }
    expect(await run('user', 'totp', 'export', '--file', file('all.yml'))).toMatchObject({ code: 1 });

    const urls = (await run('user', 'totp', 'export', 'uri')).out;
    expect((await run('user', 'totp', 'delete', 'john')).code).toBe(0);
    expect(await run('user', 'totp', 'delete', 'john')).toMatchObject({
      code: 1,
      err: 'sallyport: john has no authenticator\n',
    });
    const partly = await run('user', 'totp', 'import', file('all.yml'));
    expect(partly).toMatchObject({ code: 1, out: '1 of 2 authenticators are imported.\n' });
    expect(partly.err).toContain('a/b "c"');
    expect((await run('user', 'totp', 'import', file('all.yml'), '--force')).code).toBe(0);
    expect((await run('user', 'totp', 'export', 'uri')).out).toBe(urls);
  });

  it.each([
    ['', 'it has no list totp_configurations'],
    ['a: [', 'it is no YAML'],
    [
      'totp_configurations: [{ username: john, issuer: a, algorithm: SHA1, digits: 6, period: 30, created_at: 2026-01-31T12:00:00Z, secret: "***" }]',
      'totp_configurations[0].secret must be',
    ],
    ['totp_configurations: [{ username: "" }]', 'totp_configurations[0].username must be a name'],
  ])('refuses to import %j', async (text, message) => {
    writeFileSync(file('bad.yml'), text);
    const { err, code } = await run('user', 'totp', 'import', file('bad.yml'));
    expect(code).toBe(1);
    expect(err).toContain(message);
    expect(err).not.toContain('***');
  });
});

describe('storage bans', () => {
  it('bans an address by its network, lists it and revokes it', async () => {
    expect((await run('bans', 'ip', 'list')).out).toBe('No address is banned.\n');
    await run('bans', 'ip', 'add', '2001:db8:1:2:3:4:5:6', '--duration', '2h', '--reason', 'too curious');
    const [ban] = JSON.parse((await run('bans', 'ip', 'list', '--json')).out) as [Record<string, string>];
    expect(ban).toMatchObject({
      kind: 'ip',
      subject: '2001:db8:1:2::/64',
      source: 'cli',
      reason: 'too curious',
    });
    expect(Date.parse(ban['expires_at'] ?? '') - Date.parse(ban['created_at'] ?? '')).toBe(7_200_000);
    expect((await run('bans', 'ip', 'revoke', '2001:db8:1:2::1')).out).toBe(
      '1 ban of 2001:db8:1:2::/64 revoked.\n',
    );
    expect((await run('bans', 'ip', 'list')).out).toBe('No address is banned.\n');
    expect((await run('bans', 'ip', 'list', '--all')).out).toContain('revoked');
  });

  it('bans a user for good and revokes by id', async () => {
    await run('bans', 'user', 'add', 'john', '--permanent');
    expect((await run('bans', 'user', 'list')).out).toMatch(/1 {3}john .* for good .*cli/);
    expect((await run('bans', 'user', 'revoke', '--id', '1')).out).toBe('Ban 1 is revoked.\n');
  });

  it.each([
    [['ip', 'add', 'nonsense'], 'nonsense is no IP address'],
    [['user', 'add', 'john', '--duration', '0'], '--duration must be longer than nothing'],
    [['user', 'add', 'john', '--duration', 'soon'], '--duration must be a duration'],
    [['user', 'revoke'], 'name either the user or --id <id>'],
    [['user', 'revoke', 'john', '--id', '1'], 'name either the user or --id <id>'],
    [['user', 'revoke', '--id', '7'], 'there is no ban 7 in force'],
    [['user', 'revoke', 'john'], 'john is not banned'],
  ])('refuses %j', async (words, message) => {
    const { err, code } = await run('bans', ...words);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });
});

describe('storage schema and encryption', () => {
  it('shows, brings up and takes down the schema', async () => {
    expect((await run('schema-info')).out).toMatch(/Schema version: +0\n.*\nUpgrade: +to 1\n/);
    expect((await run('migrate', 'history')).out).toContain('there is no schema');
    expect((await run('migrate', 'list-up')).out).toMatch(/1 +beginning/);
    expect((await run('migrate', 'up')).out).toMatch(/0 +1 +beginning/);
    expect((await run('migrate', 'up')).out).toBe('Nothing to do: the schema has version 1.\n');
    expect((await run('migrate', 'list-down')).out).toMatch(/1 +beginning/);
    expect(await run('migrate', 'down', '--target', '0')).toMatchObject({ code: 1 });
    expect((await run('migrate', 'down', '--target', '0', '--destroy-data')).out).toMatch(/1 +0 +beginning/);
    expect((await run('migrate', 'up', '--target', '7')).err).toContain(
      '--target must be a version from 0 to 1',
    );
  });

  it('another database and key can be named on the command line', async () => {
    const other = ['--sqlite.path', file('other.sqlite3'), '--encryption-key', NEXT_KEY];
    expect((await run('migrate', 'up', ...other)).code).toBe(0);
    expect((await run('schema-info', ...other)).out).toMatch(/Encryption key: +fits/);
    expect((await run('schema-info')).out).toMatch(/Schema version: +0/);
    expect((await run('schema-info', '--encryption-key', 'short')).err).toBe(
      'sallyport: storage.encryption_key must have at least 20 characters\n',
    );
    expect((await run('schema-info', '--mysql.address', 'tcp://127.0.0.1:1')).err).toContain(
      'storage.mysql.database',
    );
    expect(
      (await run('schema-info', '--mysql.address', 'tcp://127.0.0.1:1', '--sqlite.path', 'x')).err,
    ).toContain('exclude each other');
  });

  it('checks the key and changes it', async () => {
    await run('user', 'totp', 'generate', 'john', '--secret', SECRET);
    expect((await run('encryption', 'check')).out).toMatch(/sallyport_totp_credentials +secret +1 +0 +0/);
    const wrong = await run('encryption', 'check', '--verbose', '--encryption-key', NEXT_KEY);
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.out).toContain('sallyport_totp_credentials: john');
    expect((await run('encryption', 'change-key', '--encryption-key', NEXT_KEY)).err).toContain(
      'storage.encryption_key is not the key',
    );
    expect((await run('encryption', 'change-key', '--new-encryption-key', 'short')).err).toContain(
      'at least 20 characters',
    );
    expect((await run('encryption', 'change-key', '--new-encryption-key', NEXT_KEY)).out).toContain(
      'set it as storage.encryption_key now',
    );
    expect((await run('user', 'totp', 'export', 'uri')).err).toContain(
      'storage.encryption_key is not the key',
    );
    configure(NEXT_KEY);
    expect((await run('user', 'totp', 'export', 'uri')).out).toContain(SECRET);
    expect((await run('schema-info')).out).toMatch(/Encryption key: +fits/);
  });
});

it('what an operator does is in the audit log, without secrets', async () => {
  await run('user', 'totp', 'generate', 'john', '--secret', SECRET);
  await run('user', 'totp', 'delete', 'john');
  await run('bans', 'ip', 'add', '203.0.113.5', '--permanent', '--reason', 'a scanner');
  await run('bans', 'ip', 'revoke', '203.0.113.5');
  await run('bans', 'user', 'revoke', 'nobody');
  let out = '';
  const io = { out: (text: string) => void (out += text), err() {}, environment: {}, exit() {} };
  await auditCommand(io).parseAsync(['list', '--json', '--config', file('configuration.yml')], {
    from: 'user',
  });
  expect(out).not.toContain(SECRET);
  expect(JSON.parse(out)).toMatchObject([
    { event: 'ban.revoked', ip: '203.0.113.5', details: { kind: 'ip', count: 1, by: 'operator' } },
    { event: 'ban.added', ip: '203.0.113.5', details: { until: null, reason: 'a scanner', by: 'operator' } },
    { event: 'factor.removed', username: 'john', details: { factor: 'totp', by: 'operator' } },
    { event: 'factor.added', username: 'john', details: { factor: 'totp', by: 'operator' } },
  ]);
});
