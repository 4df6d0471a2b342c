import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessControlCommand } from '../../../src/cli/access-control.ts';

const configuration = `
authentication_backend: { file: { path: users.yml } }
session: { secret: 'a-secret-for-tests-only', cookies: [{ domain: example.com, authelia_url: 'https://auth.example.com' }] }
storage: { encryption_key: 'a-key-for-tests-only-a-key', local: { path: db.sqlite3 } }
notifier: { filesystem: { filename: mail.txt } }
definitions: { network: { office: 192.0.2.0/24 } }
access_control:
  default_policy: deny
  rules:
    - { domain: app.example.com, policy: bypass, resources: '^/public([/?].*)?$' }
    - { domain: app.example.com, policy: two_factor, subject: 'group:admins', resources: '^/admin' }
    - { domain: app.example.com, policy: one_factor, networks: [office], methods: [GET] }
    - { domain: fresh.example.com, policy: two_factor, factors: [totp], max_age: 10m }
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'access-control-'));
  writeFileSync(join(folder, 'configuration.yml'), configuration);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]): Promise<{ out: string; err: string; code: number }> {
  const result = { out: '', err: '', code: 0 };
  const command = accessControlCommand({
    out: (text) => void (result.out += text),
    err: (text) => void (result.err += text),
    environment: {},
    exit: (code) => void (result.code = code),
  });
  await command.parseAsync(['check-policy', '-c', join(folder, 'configuration.yml'), ...args], {
    from: 'user',
  });
  return result;
}

describe('access-control check-policy', () => {
  it('shows each criterion, marks the rule that decides, and says what follows', async () => {
    const { out, code } = await run(
      '--url',
      'https://app.example.com/admin',
      '--username',
      'john',
      '--groups',
      'dev, admins',
    );
    expect(code).toBe(0);
    expect(out).toBe(`\
   rule     domain  resource  query  method  network  subject  policy
   1        hit     miss      -      -       -        -        bypass
>  2        hit     hit       -      -       -        hit      two_factor
   3        hit     -         -      hit     miss     -        one_factor
   4        miss    -         -      -       -        -        two_factor
   default                                                     deny

Policy two_factor, by rule 2.
  one factor: asked for another factor
  two factors: allowed
`);
  });

  it('says what a rule demands besides', async () => {
    const { out } = await run('--url', 'https://fresh.example.com/', '--username', 'john');
    expect(out).toContain(
      'Policy two_factor, by rule 4.\n  one factor: asked for another factor\n  two factors: allowed\n  besides: one of totp, at most 600 seconds ago\n',
    );
  });

  it('says maybe where it would have to know who asks', async () => {
    const { out } = await run('--url', 'https://app.example.com/admin');
    expect(out).toMatch(/^> +2 +hit +hit +- +- +- +maybe +two_factor$/m);
    expect(out).toContain('Potentially two_factor, by rule 2.\n  not signed in: asked to sign in\n');
  });

  it('decides by address and method', async () => {
    expect((await run('--url', 'https://app.example.com/', '--ip', '192.0.2.9')).out).toContain(
      'Policy one_factor, by rule 3.',
    );
    const { out } = await run('--url', 'https://app.example.com/', '--ip', '192.0.2.9', '--method', 'POST');
    expect(out).toContain('Policy deny, by the default policy.\n  not signed in: denied (403)');
  });

  it('shows every reading of an ambiguous path', async () => {
    const { out } = await run('--url', 'https://app.example.com/public/..;/admin');
    expect(out).toContain('The path can be read in 3 ways; the strictest answer counts.');
    expect(out).toContain('Read as "/public/..;/admin":');
    expect(out).toContain('Read as "/admin":');
    expect(out).toContain('Potentially two_factor, by rule 2.');
  });

  it('says what it compared when asked to', async () => {
    const { out } = await run('--url', 'https://app.example.com/x?y', '--verbose');
    expect(out).toContain('rule 1: resource: miss: /x?y, asked for ^/public([/?].*)?$\n');
    expect(out).toContain('rule 2: subject: maybe: a visitor who is not signed in, asked for group:admins\n');
    expect(out).toContain('rule 3: network: miss: no address, asked for office\n');
  });

  it.each([
    [['--url', 'app.example.com'], /--url must be a whole address/],
    [['--url', 'http://app.example.com/'], /--url is refused with 400.*scheme/],
    [['--url', 'https://app.example.com/#x'], /fragment/],
    [['--url', 'https://app.example.com/', '--ip', '10.1'], /--ip must be/],
    [['--url', 'https://app.example.com/', '--method', 'get'], /--method must be upper-case/],
    [['--url', 'https://app.example.com/', '-c', 'missing.yml'], /missing\.yml/],
  ])('refuses %j', async (args, reason) => {
    const { out, err, code } = await run(...args);
    expect([out, code]).toEqual(['', 1]);
    expect(err).toMatch(reason);
  });
});
