import { describe, expect, test } from 'vitest';

import { createTokenSealer } from '../../../src/lib/sealed-token.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';

const OLD = 'the secret of last year, long enough';
const NEW = 'the secret of this year, long enough';
const TEXT = '{"secret":"Zürich 🔐"}';

function sealer(secrets: readonly [string, ...string[]] = [NEW], clock = fakeClock()) {
  return { ...createTokenSealer(secrets, { clock, random: seededRandom(1) }), clock };
}

describe('a sealed token', () => {
  test('opens for its purpose and bindings, as often as it is presented', () => {
    const one = sealer();
    const token = one.seal('enrol', ['jane', 's1'], TEXT, 1_000);
    expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(one.open('enrol', ['jane', 's1'], token)).toEqual({ text: TEXT });
    expect(one.open('enrol', ['jane', 's1'], token)).toEqual({ text: TEXT });
    expect(one.open('enrol', [], one.seal('enrol', [], '', 1_000))).toEqual({ text: '' });
  });

  test('says nothing of what is in it, and never the same twice', () => {
    const one = sealer();
    const [a, b] = [one.seal('enrol', [], TEXT, 1_000), one.seal('enrol', [], TEXT, 1_000)];
    expect(a).not.toBe(b);
    expect(Buffer.from(a, 'base64url').includes('secret')).toBe(false);
  });

  test.each([
    ['another purpose', 'reset', ['jane', 's1']],
    ['another person', 'enrol', ['joe', 's1']],
    ['another session', 'enrol', ['jane', 's2']],
    ['another order', 'enrol', ['s1', 'jane']],
    ['no binding', 'enrol', []],
    ['a binding more', 'enrol', ['jane', 's1', '']],
    ['bindings run together', 'enrol', ['janes1']],
    ['a purpose that runs into the bindings', 'enrol","jane', ['s1']],
  ])('does not open for %s', (_name, purpose, bindings) => {
    const one = sealer();
    expect(one.open(purpose, bindings, one.seal('enrol', ['jane', 's1'], TEXT, 1_000))).toBe('invalid');
  });

  test('expires at its time, not before', () => {
    const one = sealer();
    const token = one.seal('enrol', [], TEXT, 1_000);
    one.clock.advance(999);
    expect(one.open('enrol', [], token)).toEqual({ text: TEXT });
    one.clock.advance(1);
    expect(one.open('enrol', [], token)).toBe('expired');
    // What is not genuine is told nothing about its age.
    expect(one.open('reset', [], token)).toBe('invalid');
  });

  test('a flipped bit anywhere makes it invalid', () => {
    const one = sealer();
    const sealed = Buffer.from(one.seal('enrol', [], TEXT, 1_000), 'base64url');
    for (let at = 0; at < sealed.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(sealed);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        expect(one.open('enrol', [], flipped.toString('base64url')), `byte ${at}, bit ${bit}`).toBe(
          'invalid',
        );
      }
    }
  });

  test('torn, prolonged, padded, and other spellings are invalid, and so is nonsense', () => {
    const one = sealer();
    const token = one.seal('enrol', [], TEXT, 1_000);
    for (let length = 0; length < token.length; length++) {
      expect(one.open('enrol', [], token.slice(0, length)), String(length)).toBe('invalid');
    }
    for (const text of [
      `${token}A`,
      `${token}=`,
      `${token}==`,
      ` ${token}`,
      `${token}\n`,
      `${token}\0`,
      '💥',
      'a'.repeat(5_000),
    ]) {
      expect(one.open('enrol', [], text), text).toBe('invalid');
    }
  });

  test('after a rotation old ones still open; those of a secret that is gone are invalid', () => {
    const before = sealer([OLD]).seal('enrol', [], TEXT, 1_000);
    expect(sealer([NEW, OLD]).open('enrol', [], before)).toEqual({ text: TEXT });
    expect(sealer([NEW]).open('enrol', [], before)).toBe('invalid');
    const after = sealer([NEW, OLD]).seal('enrol', [], TEXT, 1_000);
    expect(sealer([NEW]).open('enrol', [], after)).toEqual({ text: TEXT });
  });
});
