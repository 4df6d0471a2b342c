import { describe, expect, test } from 'vitest';

import {
  createRecoveryCodes,
  RECOVERY_CODES,
  type RecoveryCodeSet,
  type RecoveryCodeStore,
} from '../../../src/factors/recovery-codes.ts';
import { seededRandom } from '../../support/fake-clock.ts';

function memoryStore() {
  const sets = new Map<string, RecoveryCodeSet>();
  const store: RecoveryCodeStore = {
    find: async (username) => sets.get(username) ?? null,
    replace: async (username, set) => void sets.set(username, set),
    async consume(username, digest) {
      const set = sets.get(username);
      const digests = set?.digests.filter((one) => !Buffer.from(digest).equals(one)) ?? [];
      if (!set || digests.length === set.digests.length) return false;
      sets.set(username, { ...set, digests });
      return true;
    },
    remove: async (username) => sets.delete(username),
  };
  return { store, sets };
}

const open = (store = memoryStore().store, seed = 1) =>
  createRecoveryCodes(store, { random: seededRandom(seed) });

describe('a set', () => {
  test('is ten different codes in four groups without ambiguous characters', async () => {
    const codes = await open().renew('jane');
    expect(RECOVERY_CODES).toBe(10);
    expect(new Set(codes).size).toBe(10);
    for (const code of codes) expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
  });

  test('draws every character with the same chance', async () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 200; seed++) {
      for (const character of (await open(undefined, seed).renew('jane')).join('').replaceAll('-', '')) {
        counts.set(character, (counts.get(character) ?? 0) + 1);
      }
    }
    // 32,000 characters, 1,000 of each expected; six standard deviations are 187.
    expect(counts.size).toBe(32);
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(187);
  });

  test('is stored as salted digests, from which no code can be read', async () => {
    const { store, sets } = memoryStore();
    const one = open(store);
    const codes = await one.renew('jane');
    const set = sets.get('jane');
    expect(set?.salt).toHaveLength(16);
    expect(set?.digests.map((digest) => digest.length)).toEqual(codes.map(() => 32));
    const stored = Buffer.concat([...(set?.digests ?? []), set?.salt ?? Buffer.of()]).toString('latin1');
    for (const code of codes) expect(stored).not.toContain(code.replaceAll('-', ''));
    await one.renew('joe');
    expect(sets.get('joe')?.salt).not.toEqual(set?.salt);
  });
});

describe('a code', () => {
  test('is good once', async () => {
    const codes = open();
    const [first = '', second = ''] = await codes.renew('jane');
    expect(await codes.count('jane')).toBe(10);
    expect(await codes.use('jane', first)).toBe(true);
    expect(await codes.use('jane', first)).toBe(false);
    expect(await codes.use('jane', second)).toBe(true);
    expect(await codes.count('jane')).toBe(8);
  });

  test('of many that come at once exactly one wins', async () => {
    const codes = open();
    const [code = ''] = await codes.renew('jane');
    const answers = await Promise.all(Array.from({ length: 50 }, () => codes.use('jane', code)));
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  test('belongs to its person and to the last set', async () => {
    const codes = open();
    const [old = ''] = await codes.renew('jane');
    const [joes = ''] = await codes.renew('joe');
    expect(await codes.use('jane', joes)).toBe(false);
    expect(await codes.use('nobody', joes)).toBe(false);
    await codes.renew('jane');
    expect(await codes.use('jane', old)).toBe(false);
    expect(await codes.count('nobody')).toBe(0);
  });

  test.each([
    ['lower case', (code: string) => code.toLowerCase()],
    ['no dashes', (code: string) => code.replaceAll('-', '')],
    ['spaces', (code: string) => ` ${code.replaceAll('-', ' ')}\n`],
    ['another dash', (code: string) => code.replaceAll('-', '–')],
    [
      'letters for the digits that look like them',
      (code: string) => code.replaceAll('0', 'o').replaceAll('1', 'l'),
    ],
    ['capitals for them', (code: string) => code.replaceAll('0', 'O').replaceAll('1', 'I')],
    [
      'full width',
      (code: string) =>
        [...code]
          .map((c) => (c === '-' ? c : String.fromCodePoint((c.codePointAt(0) ?? 0) + 0xfee0)))
          .join(''),
    ],
  ])('may be typed with %s', async (_name, typed) => {
    const codes = open();
    for (const code of await codes.renew('jane')) expect(await codes.use('jane', typed(code))).toBe(true);
  });

  test('that is none does not reach the store', async () => {
    const unreachable = { find: () => Promise.reject(new Error('asked')) } as unknown as RecoveryCodeStore;
    for (const typed of [
      '',
      '-',
      '0000-0000-0000-000',
      '0000-0000-0000-0000-0',
      'UUUU-UUUU-UUUU-UUUU',
      '0'.repeat(10_000),
    ]) {
      expect(await open(unreachable).use('jane', typed)).toBe(false);
    }
    await expect(open(unreachable).use('jane', '0000-0000-0000-0000')).rejects.toThrow('asked');
  });
});
