import { describe, expect, test } from 'vitest';

import {
  askAuthorization,
  askProxyAuthorization,
  type BasicOptions,
  createBasicScheme,
} from '../../../src/authn/basic.ts';
import { createMemoryThrottleStore } from '../../../src/factors/memory-throttle-store.ts';
import type { Regulation, ThrottleDeps } from '../../../src/factors/throttle.ts';
import { BackendUnavailable } from '../../../src/users/backend.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { fakePassword } from '../factors/fakes.ts';
import { authnRequest, fakeHead, fakeUsers } from './fakes.ts';

const PEOPLE = {
  john: { password: 'secret', groups: ['dev'] },
  zoë: { password: 'Zürich: 漢字 🔐' },
  colons: { password: ':a::b:' },
  gone: { password: 'secret', disabled: true },
};

function setUp(
  options: Partial<BasicOptions> = {},
  regulation: Partial<Regulation> = { max_retries: 0 },
  over: Partial<ThrottleDeps> = {},
) {
  const users = fakeUsers(structuredClone(PEOPLE));
  const clock = fakeClock();
  const fake = fakePassword(users.backend, regulation, { clock, ...over });
  const attempts = fake.checked;
  const scheme = createBasicScheme(
    { header: 'authorization', challenge: askAuthorization, cacheLifespan: 0, ...options },
    {
      users: users.backend,
      password: fake.password,
      throttle: fake.throttle,
      clock,
      random: seededRandom('basic'),
    },
  );
  const header = options.header === 'proxy-authorization' ? 'proxy-authorization' : 'authorization';
  const ask = async (value: string) => scheme.authenticate(authnRequest(fakeHead({ [header]: value })));
  const login = (name: string, password: string) => ask(basic(`${name}:${password}`));
  return { users, fake, clock, attempts, scheme, ask, login };
}

const basic = (credentials: string | Buffer): string =>
  `Basic ${Buffer.from(credentials).toString('base64')}`;
const john = {
  user: { username: 'john', displayName: 'JOHN', emails: ['john@example.com'], groups: ['dev'] },
  level: 1,
  factors: [{ method: 'password', at: 1_800_000_000_000 }],
};

describe('credentials', () => {
  test('that hold are level 1 with the profile of the backend, whatever name was typed', async () => {
    const { login, attempts } = setUp();
    expect(await login('john', 'secret')).toEqual(john);
    expect(await login('JOHN', 'secret')).toEqual(john);
    expect(attempts).toEqual([
      { username: 'john', ip: '203.0.113.5', success: true },
      { username: 'john', ip: '203.0.113.5', success: true },
    ]);
  });

  test('UTF-8, colons and blanks belong to the password', async () => {
    const { login } = setUp();
    expect(await login('zoë', 'Zürich: 漢字 🔐')).toMatchObject({ user: { username: 'zoë' } });
    expect(await login('colons', ':a::b:')).toMatchObject({ user: { username: 'colons' } });
    for (const password of ['secret ', ' secret', 'Secret', 'secret:', ':secret', 'secret\0']) {
      expect(await login('john', password), password).toBe('failure');
    }
  });

  test('that do not hold fail and are told', async () => {
    const { login, attempts } = setUp();
    for (const [name, password] of [
      ['john', 'wrong'],
      ['nobody', 'secret'],
      ['gone', 'secret'],
      ['__proto__', 'x'],
      ['constructor', 'x'],
    ] as const) {
      expect(await login(name, password), name).toBe('failure');
    }
    expect(attempts).toHaveLength(5);
    expect(attempts.some(({ success }) => success)).toBe(false);
  });

  test.each([
    ['nothing', 'Basic'],
    ['blanks', 'Basic   '],
    ['no base64', 'Basic !!!!'],
    ['base64 and more', `${basic('john:secret')} x`],
    ['base64 twice', `${basic('john:secret')}, ${basic('john:secret')}`],
    [
      'base64url',
      `Basic ${Buffer.from('john:>>>???').toString('base64').replace('+', '-').replaceAll('/', '_')}`,
    ],
    ['padding inside', 'Basic am9=objpzZWNyZXQ='],
    ['padding alone', 'Basic =='],
    ['no colon', basic('john')],
    ['an empty name', basic(':secret')],
    ['an empty password', basic('john:')],
    ['a colon alone', basic(':')],
    ['bytes that are not UTF-8', basic(Buffer.from([0x6a, 0x3a, 0xff, 0xfe]))],
    ['overlong UTF-8', basic(Buffer.from([0x6a, 0x3a, 0xc0, 0xaf]))],
    ['UTF-16 surrogates in UTF-8', basic(Buffer.from([0x6a, 0x3a, 0xed, 0xa0, 0x80]))],
    ['an unencoded pair', 'Basic john:secret'],
    [
      'a tab for the blank',
      `Basic\t${Buffer.from('john:secret').toString('base64')}`.replace('Basic\t', 'Basic \t'),
    ],
    ['the parameter form', 'Basic username="john", password="secret"'],
  ])('malformed, %s: failure without asking anybody', async (_, value) => {
    const { ask, users, attempts } = setUp();
    expect(await ask(value)).toBe('failure');
    expect(users.counts).toEqual({ find: 0, check: 0 });
    expect(attempts).toEqual([]);
  });

  test('a very long value is no more than wrong', async () => {
    const { ask } = setUp();
    const start = performance.now();
    for (const value of [
      basic(`john:${'x'.repeat(30_000)}`),
      `Basic ${' '.repeat(30_000)}x`,
      `Basic ${'a '.repeat(15_000)}`,
      ' '.repeat(30_000),
    ]) {
      expect(await ask(value)).toBe('failure');
    }
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test('the name of the scheme has any letter case and any number of blanks', async () => {
    const { ask } = setUp();
    const encoded = Buffer.from('john:secret').toString('base64');
    for (const value of [
      `basic ${encoded}`,
      `BASIC ${encoded}`,
      `Basic   ${encoded}`,
      ` Basic ${encoded} `,
    ]) {
      expect(await ask(value), value).toEqual(john);
    }
  });

  test('other schemes and an absent header are nothing of ours', async () => {
    const { ask, scheme, users } = setUp();
    for (const value of [
      'Bearer abc',
      'Digest username="john"',
      'Negotiate abc',
      'Basicx abc',
      'Basic-x abc',
    ]) {
      expect(await ask(value), value).toBe('skip');
    }
    expect(await scheme.authenticate(authnRequest(fakeHead()))).toBe('skip');
    expect(users.counts.check).toBe(0);
  });

  test('a repeated or aliased header fails', async () => {
    const { scheme, users } = setUp();
    for (const flaw of ['repeated', 'aliased'] as const) {
      const head = fakeHead({ authorization: basic('john:secret') }, { flaws: { authorization: flaw } });
      expect(await scheme.authenticate(authnRequest(head))).toBe('failure');
    }
    expect(users.counts.check).toBe(0);
  });

  test('a backend that cannot answer is no failure', async () => {
    for (const cacheLifespan of [0, 1000]) {
      const { login, users, attempts } = setUp({ cacheLifespan });
      users.fail();
      await expect(login('john', 'secret')).rejects.toThrow(BackendUnavailable);
      expect(attempts).toEqual([]);
    }
  });
});

describe('where they are read', () => {
  const right = basic('john:secret');
  const table = [
    ['authorization', { authorization: right }, {}, 'success'],
    ['authorization', { 'proxy-authorization': right }, {}, 'skip'],
    ['proxy-authorization', { 'proxy-authorization': right }, {}, 'success'],
    ['proxy-authorization', { authorization: right }, {}, 'skip'],
    ['proxy-authorization', { authorization: right }, { auth: 'basic' }, 'skip'],
    ['legacy', { 'proxy-authorization': right }, {}, 'success'],
    ['legacy', { authorization: right }, {}, 'skip'],
    ['legacy', { authorization: right }, { auth: 'basic' }, 'success'],
    ['legacy', { 'proxy-authorization': right }, { auth: 'basic' }, 'failure'],
    ['legacy', {}, { auth: 'basic' }, 'failure'],
    ['legacy', {}, {}, 'skip'],
    ['legacy', {}, { auth: 'other' }, 'skip'],
    ['legacy', { 'proxy-authorization': 'Bearer x' }, {}, 'failure'],
    ['legacy', { authorization: 'Bearer x' }, { auth: 'basic' }, 'failure'],
  ] as const;
  test.each(table)('%s with %o and %o: %s', async (header, headers, parameters, expected) => {
    const { scheme } = setUp({ header });
    const result = await scheme.authenticate(authnRequest(fakeHead(headers), parameters));
    expect(typeof result === 'string' ? result : 'success').toBe(expected);
  });

  test('how they are asked for', () => {
    expect(setUp().scheme.challenge).toEqual({
      status: 401,
      headers: ['WWW-Authenticate', 'Basic realm="Authorization Required"'],
    });
    expect(setUp({ challenge: askProxyAuthorization }).scheme.challenge).toEqual({
      status: 407,
      headers: ['Proxy-Authenticate', 'Basic realm="Authorization Required"'],
    });
  });
});

describe('remembered passwords', () => {
  const LIFESPAN = 60_000;
  const cached = () => setUp({ cacheLifespan: LIFESPAN });

  test('without a lifespan every request is hashed', async () => {
    const { login, users } = setUp();
    await login('john', 'secret');
    await login('john', 'secret');
    expect(users.counts.check).toBe(2);
  });

  test('a right one is hashed once until the lifespan ends, to the millisecond', async () => {
    const { login, users, clock, attempts } = cached();
    for (let i = 0; i < 5; i++) expect(await login('john', 'secret')).toEqual(john);
    clock.advance(LIFESPAN - 1);
    await login('john', 'secret');
    expect(users.counts.check).toBe(1);
    clock.advance(1);
    await login('john', 'secret');
    expect(users.counts.check).toBe(2);
    expect(attempts).toHaveLength(2);
  });

  test('under all names that the backend takes for the same person', async () => {
    const { login, users } = cached();
    await login('john', 'secret');
    await login('JOHN', 'secret');
    expect(users.counts.check).toBe(1);
  });

  test('a wrong one is hashed each time and does not spoil what is remembered', async () => {
    const { login, users } = cached();
    await login('john', 'secret');
    for (let i = 0; i < 3; i++) expect(await login('john', 'wrong')).toBe('failure');
    expect(users.counts.check).toBe(4);
    await login('john', 'secret');
    expect(users.counts.check).toBe(4);
  });

  test("one person's password opens nobody else", async () => {
    const { login } = cached();
    await login('john', 'secret');
    expect(await login('colons', 'secret')).toBe('failure');
    expect(await login('nobody', 'secret')).toBe('failure');
  });

  test('somebody disabled meanwhile is not served from memory', async () => {
    const { login, users } = cached();
    await login('john', 'secret');
    users.people.john = { password: 'secret', disabled: true };
    expect(await login('john', 'secret')).toBe('failure');
    delete users.people.john;
    expect(await login('john', 'secret')).toBe('failure');
  });

  test('the profile is that of now', async () => {
    const { login, users } = cached();
    await login('john', 'secret');
    users.people.john = { password: 'secret', groups: ['admins'] };
    expect(await login('john', 'secret')).toMatchObject({ user: { groups: ['admins'] } });
  });

  test('identical checks at once are hashed once, others each for themselves', async () => {
    const { login, users } = cached();
    const results = await Promise.all([
      ...Array.from({ length: 20 }, () => login('john', 'secret')),
      login('john', 'wrong'),
      login('zoë', 'secret'),
    ]);
    expect(users.counts.check).toBe(3);
    expect(results.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => john));
    expect(results.slice(20)).toEqual(['failure', 'failure']);
  });

  test('a ban holds: at once if this process made it, and looks like a wrong password', async () => {
    const { login, users, fake } = setUp({ cacheLifespan: LIFESPAN }, { max_retries: 3 });
    expect(await login('john', 'secret')).toEqual(john);
    for (let i = 0; i < 3; i++) await login('JOHN', 'wrong');
    const waits = fake.timers.waits.length;
    expect(await login('john', 'secret')).toBe('failure');
    expect(fake.timers.waits).toHaveLength(waits + 1);
    expect(users.counts.check).toBe(4);
  });

  test('asks nobody about bans for two seconds', async () => {
    let asked = 0;
    const store = createMemoryThrottleStore();
    const bans: typeof store.bans = {
      ...store.bans,
      findInForce(...args) {
        asked++;
        return store.bans.findInForce(...args);
      },
    };
    const { login, clock } = setUp({ cacheLifespan: LIFESPAN }, {}, { bans });
    await login('john', 'secret');
    const before = asked;
    for (let i = 0; i < 50; i++) expect(await login('john', 'secret')).toEqual(john);
    expect(asked).toBe(before + 1);
    clock.advance(2000);
    await login('john', 'secret');
    expect(asked).toBe(before + 2);
  });

  test('a password that the backend says is another is forgotten', async () => {
    for (const asynchronous of [false, true]) {
      const { login, users } = cached();
      let mark = 'one';
      Object.assign(users.backend, {
        passwordMark: () => (asynchronous ? Promise.resolve(mark) : mark),
      });
      await login('john', 'secret');
      await login('john', 'secret');
      expect(users.counts.check).toBe(1);
      mark = 'two';
      users.people.john = { password: 'another', groups: ['dev'] };
      expect(await login('john', 'secret')).toBe('failure');
      expect(await login('john', 'another')).toEqual(john);
    }
  });

  test('a check that failed for an outage is tried again', async () => {
    const { login, users } = cached();
    users.fail();
    await Promise.allSettled([login('john', 'secret'), login('john', 'secret')]);
    users.fail(false);
    expect(await login('john', 'secret')).toEqual(john);
  });

  test('however names and passwords are cut, one is never taken for another', async () => {
    const { login, users } = cached();
    users.people.a = { password: 'b\0c' };
    const [own, other] = await Promise.all([login('a', 'b\0c'), login('a\0b', 'c')]);
    expect(own).toMatchObject({ user: { username: 'a' } });
    expect(other).toBe('failure');
    expect(users.counts.check).toBe(2);
  });
});
