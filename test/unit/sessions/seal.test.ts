import { describe, expect, test } from 'vitest';

import { createSealer } from '../../../src/sessions/seal.ts';
import { seededRandom } from '../../support/fake-clock.ts';

const OLD = 'an old secret of the installation';
const NEW = 'a new secret of the installation';
const random = seededRandom('seal');
const sealer = (realm = 'gateway', ...secrets: readonly string[]) =>
  createSealer(realm, [secrets[0] ?? NEW, ...secrets.slice(1)], { random });

const TEXT = '{"userId":"zoë 漢字 🔐"}';

describe('sealing', () => {
  test('opens what it sealed, whatever the text', () => {
    for (const text of ['', TEXT, '\0', 'x'.repeat(100_000)]) {
      expect(sealer().open('key', sealer().seal('key', text))).toEqual({ text });
    }
  });

  test('the layout is format, key id, nonce, ciphertext, tag', () => {
    const sealed = sealer().seal('key', 'abc');
    expect(sealed).toHaveLength(1 + 4 + 12 + 3 + 16);
    expect(sealed[0]).toBe(1);
    expect(sealed.subarray(1, 5)).toEqual(sealer('elsewhere').seal('other', '').subarray(1, 5));
  });

  test('the nonce comes from the given randomness and is another one each time', () => {
    const twin = () => createSealer('gateway', [NEW], { random: seededRandom('twin') });
    expect(twin().seal('key', TEXT)).toEqual(twin().seal('key', TEXT));
    const one = sealer();
    const nonces = Array.from({ length: 100 }, () => one.seal('key', TEXT).subarray(5, 17).toString('hex'));
    expect(new Set(nonces).size).toBe(100);
  });

  test('nothing of the text stands in the record', () => {
    const sealed = sealer().seal('key', 'a rather conspicuous text');
    expect(sealed.toString('latin1')).not.toContain('conspicuous');
  });

  test('a record copied to another key does not open', () => {
    expect(sealer().open('key2', sealer().seal('key', TEXT))).toBe('broken');
  });

  test('a record copied to another realm does not open, however realm and key are cut', () => {
    const sealed = sealer('gateway').seal('key', TEXT);
    expect(sealer('outpost:1').open('key', sealed)).toBe('broken');
    expect(sealer('gatewayk').open('ey', sealer('gateway').seal('key', TEXT))).toBe('broken');
  });

  test('a flipped bit at any byte makes it unreadable', () => {
    const one = sealer();
    const sealed = one.seal('key', TEXT);
    for (let at = 0; at < sealed.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(sealed);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        const expected = at >= 1 && at < 5 ? 'unknown-key' : 'broken';
        expect(one.open('key', flipped), `byte ${at}, bit ${bit}`).toBe(expected);
      }
    }
  });

  test('a torn or prolonged record is broken, however short', () => {
    const one = sealer();
    const sealed = one.seal('key', TEXT);
    for (let length = 0; length < sealed.length; length++) {
      expect(one.open('key', sealed.subarray(0, length)), String(length)).toBe('broken');
    }
    expect(one.open('key', Buffer.concat([sealed, Buffer.of(0)]))).toBe('broken');
    expect(one.open('key', Buffer.alloc(200, 1))).toBe('unknown-key');
  });

  test('a secret that is not configured is unknown, which is not broken', () => {
    expect(sealer('gateway', NEW).open('key', sealer('gateway', OLD).seal('key', TEXT))).toBe('unknown-key');
  });

  test('after a rotation old records still open, and new ones are sealed with the first secret', () => {
    const before = sealer('gateway', OLD).seal('key', TEXT);
    const both = sealer('gateway', NEW, 'one between', OLD);
    expect(both.open('key', before)).toEqual({ text: TEXT });
    const after = both.seal('key', TEXT);
    expect(sealer('gateway', NEW).open('key', after)).toEqual({ text: TEXT });
    expect(sealer('gateway', OLD).open('key', after)).toBe('unknown-key');
    // The order of the others does not matter.
    expect(sealer('gateway', OLD, NEW).open('key', after)).toEqual({ text: TEXT });
  });
});
