import { describe, expect, test } from 'vitest';

import { createColumnCipher, UndecipherableValue } from '../../../src/storage/column-cipher.ts';
import { seededRandom } from '../../support/fake-clock.ts';

const random = seededRandom('column cipher');
const place = { table: 'sallyport_totp_credentials', column: 'secret', row: 'john' } as const;
const plain = Buffer.from('a secret');

describe('column cipher', () => {
  const cipher = createColumnCipher(['the present key'], { random });

  test('opens what it closed, where it was closed; the same value never looks the same', () => {
    const sealed = cipher.encrypt(place, plain);
    expect(cipher.decrypt(place, sealed)).toEqual(plain);
    expect(cipher.decrypt(place, new Uint8Array(sealed))).toEqual(plain);
    expect(cipher.encrypt(place, plain).equals(sealed)).toBe(false);
    expect(cipher.decrypt(place, cipher.encrypt(place, Buffer.alloc(0)))).toEqual(Buffer.alloc(0));
  });

  test.each([
    ['row', { ...place, row: 'jane' }],
    ['table', { ...place, table: 'sallyport_mail_queue' }],
    ['column', { ...place, column: 'payload' }],
  ] as const)('nothing opens in another %s', (_name, other) => {
    expect(() => cipher.decrypt(other, cipher.encrypt(place, plain))).toThrow(UndecipherableValue);
  });

  test('each altered byte, each cut and each foreign value is refused, without a word of the value', () => {
    const sealed = cipher.encrypt(place, plain);
    for (let index = 0; index < sealed.length; index++) {
      const altered = Buffer.from(sealed);
      altered[index] = (altered[index] ?? 0) ^ 1;
      expect(() => cipher.decrypt(place, altered), `byte ${index}`).toThrow(UndecipherableValue);
      expect(() => cipher.decrypt(place, sealed.subarray(0, index)), `${index} bytes`).toThrow(
        UndecipherableValue,
      );
    }
    expect(() => cipher.decrypt(place, plain)).toThrow(
      'secret of "john" in sallyport_totp_credentials was altered',
    );
  });

  test('former keys open and do not close; an unknown key is named as such', () => {
    const sealed = cipher.encrypt(place, plain);
    const next = createColumnCipher(['the next key', 'the present key'], { random });
    expect(next.decrypt(place, sealed)).toEqual(plain);
    expect([cipher.isCurrent(sealed), next.isCurrent(sealed)]).toEqual([true, false]);
    const renewed = next.encrypt(place, plain);
    expect(next.isCurrent(renewed)).toBe(true);
    expect(() => cipher.decrypt(place, renewed)).toThrow(
      'neither storage.encryption_key nor in storage.accepted_encryption_keys',
    );
  });
});
