import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BackendUnavailable } from '../../src/users/backend.ts';
import { userBackends } from '../../src/users/registry.ts';
import { userBackendHarnesses } from './user-backend-harnesses.ts';
import type { OpenHarness, Somebody } from './user-backend-harnesses.ts';

/** What `src/users/backend.ts` says, sentence by sentence, of every driver of the registry. */

const jane: Somebody = {
  name: 'jane',
  password: 'correct horse',
  displayName: 'Jane Doe',
  emails: ['jane@example.com', 'jd@example.com'],
  groups: ['admins', 'dev'],
};
const zoe: Somebody = { name: 'zoë', password: 'Zürich 漢字 🔐', displayName: 'Zoë' };
const gone: Somebody = { name: 'gone', password: 'still right', disabled: true };
const everybody = [jane, zoe, gone];

const profileOfJane = {
  username: 'jane',
  displayName: 'Jane Doe',
  emails: ['jane@example.com', 'jd@example.com'],
  groups: ['admins', 'dev'],
};

describe.each(Object.keys(userBackends) as (keyof typeof userBackends)[])('user backend %s', (driver) => {
  const harness = userBackendHarnesses[driver];
  let open: OpenHarness | undefined;
  const start = async (people: readonly Somebody[] = everybody): Promise<OpenHarness> => {
    open = await harness.open(people);
    return open;
  };
  afterEach(async () => {
    await open?.dispose();
    open = undefined;
  });

  beforeEach(({ task, skip }) => {
    const exception = harness.exceptions.find((candidate) => candidate.test === task.name);
    skip(exception !== undefined, exception?.reason);
  });

  test('finds a person with everything that is known', async () => {
    const { backend } = await start();
    expect(await backend.find('jane')).toEqual(profileOfJane);
    expect(await backend.find('zoë')).toEqual({
      username: 'zoë',
      displayName: 'Zoë',
      emails: [],
      groups: [],
    });
  });

  test('finds nobody for unknown names', async () => {
    const { backend } = await start();
    for (const name of ['nobody', '', 'constructor', '__proto__', 'toString', '*', 'jane ', 'a\0b']) {
      expect([name, await backend.find(name)]).toEqual([name, null]);
    }
  });

  test('finds nobody for disabled people', async () => {
    const { backend } = await start();
    expect(await backend.find('gone')).toBeNull();
  });

  test('a right password succeeds with the profile', async () => {
    const { backend } = await start();
    expect(await backend.checkPassword('jane', jane.password)).toEqual({
      status: 'success',
      user: profileOfJane,
    });
    expect(await backend.checkPassword('zoë', zoe.password)).toMatchObject({ status: 'success' });
  });

  test('unknown, disabled and wrong are the same answer', async () => {
    const { backend } = await start();
    for (const [name, password] of [
      ['jane', 'wrong'],
      ['jane', gone.password],
      ['nobody', jane.password],
      ['__proto__', jane.password],
      ['', jane.password],
      ['gone', gone.password],
      ['gone', 'wrong'],
    ] as const) {
      expect([name, password, await backend.checkPassword(name, password)]).toEqual([
        name,
        password,
        { status: 'failure' },
      ]);
    }
  });

  test('a check costs the same whoever is asked about', async () => {
    const { backend, takeCost } = await start();
    takeCost();
    await backend.checkPassword('jane', jane.password);
    const right = takeCost();
    expect(right).not.toEqual([]);
    for (const [name, password] of [
      ['jane', 'wrong'],
      ['nobody', 'wrong'],
      ['someone else', jane.password],
      ['gone', gone.password],
      ['gone', 'wrong'],
    ] as const) {
      await backend.checkPassword(name, password);
      expect([name, takeCost()]).toEqual([name, right]);
    }
  });

  test('passwords are compared as typed', async () => {
    const { backend } = await start();
    for (const password of [
      ` ${jane.password}`,
      `${jane.password} `,
      `${jane.password}\n`,
      `${jane.password}\0`,
      jane.password.toUpperCase(),
    ]) {
      expect([password, await backend.checkPassword('jane', password)]).toEqual([
        password,
        { status: 'failure' },
      ]);
    }
    expect(await backend.checkPassword('zoë', zoe.password.normalize('NFD'))).toEqual({
      status: 'failure',
    });
  });

  test('a text that cannot be a password fails without being tried', async () => {
    const { backend, takeCost } = await start();
    takeCost();
    for (const password of ['', 'a'.repeat(1025), '🔐'.repeat(257), '\uD800']) {
      expect(await backend.checkPassword('jane', password)).toEqual({ status: 'failure' });
    }
    expect(takeCost()).toEqual([]);
  });

  test('a password of 256 characters of any script works', async () => {
    const long = { ...jane, password: '🔐'.repeat(256) };
    const { backend } = await start([long]);
    expect(await backend.checkPassword('jane', long.password)).toMatchObject({ status: 'success' });
  });

  test('many checks at once each get their own answer', async () => {
    const { backend } = await start();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => {
        const [name, password] = i % 2 ? (['jane', jane.password] as const) : (['zoë', 'wrong'] as const);
        return backend.checkPassword(name, password);
      }),
    );
    expect(answers.map((answer) => (answer.status === 'success' ? answer.user.username : null))).toEqual(
      Array.from({ length: 40 }, (_, i) => (i % 2 ? 'jane' : null)),
    );
  });

  test('a backend that cannot answer throws BackendUnavailable, known or not, right or wrong', async () => {
    const { backend, cutOff } = await start();
    cutOff();
    for (const [name, password] of [
      ['jane', jane.password],
      ['jane', 'wrong'],
      ['nobody', 'wrong'],
      ['gone', gone.password],
    ] as const) {
      await expect(backend.checkPassword(name, password)).rejects.toThrow(BackendUnavailable);
    }
  });

  describe('setting a password', () => {
    const set = ({ backend }: OpenHarness, username: string, password: string) => {
      if (!backend.setPassword) throw new Error('a backend that cannot write needs an exception');
      return backend.setPassword(username, password);
    };

    test('the new password succeeds at once and the old one fails', async () => {
      const opened = await start();
      expect(await set(opened, 'jane', 'another horse')).toEqual({ status: 'changed' });
      const { backend } = opened;
      expect(await backend.checkPassword('jane', 'another horse')).toEqual({
        status: 'success',
        user: profileOfJane,
      });
      expect(await backend.checkPassword('jane', jane.password)).toEqual({ status: 'failure' });
    });

    test('the mark of the password is another one then, and of no one else', async () => {
      const opened = await start();
      const { backend } = opened;
      const mark = async (name: string) => backend.passwordMark?.(name);
      const before = [await mark('jane'), await mark('zoë'), await mark('nobody')];
      expect(await mark('jane')).toBe(before[0]);
      await set(opened, 'jane', 'another horse');
      const after = [await mark('jane'), await mark('zoë'), await mark('nobody')];
      expect(after.slice(1)).toEqual(before.slice(1));
      if (backend.passwordMark) {
        expect(after[0]).not.toBe(before[0]);
        expect(before).toEqual([expect.any(String), expect.any(String), null]);
      }
    });

    test('it stays after the source is read again, and nobody else is touched', async () => {
      const opened = await start();
      await set(opened, 'jane', 'another horse');
      await set(opened, 'zoë', 'Ünïcode 漢');
      const { backend } = opened;
      await backend.reload();
      expect(await backend.checkPassword('jane', 'another horse')).toMatchObject({ status: 'success' });
      expect(await backend.checkPassword('zoë', 'Ünïcode 漢')).toMatchObject({ status: 'success' });
      expect(await backend.checkPassword('zoë', zoe.password)).toEqual({ status: 'failure' });
      expect(await backend.find('gone')).toBeNull();
    });

    test('unknown and disabled people get none', async () => {
      const opened = await start();
      for (const name of ['nobody', '', '__proto__', 'constructor', 'gone', 'JANE']) {
        expect([name, await set(opened, name, 'another horse')]).toEqual([name, { status: 'unknown' }]);
      }
      expect(await opened.backend.checkPassword('gone', 'another horse')).toEqual({ status: 'failure' });
    });

    test('a text that cannot be a password is refused', async () => {
      const opened = await start();
      for (const password of ['', 'a'.repeat(1025), '\uD800']) {
        expect(await set(opened, 'jane', password)).toEqual({
          status: 'refused',
          reason: expect.stringMatching(/^the password must be/) as string,
        });
      }
      expect(await opened.backend.checkPassword('jane', jane.password)).toMatchObject({ status: 'success' });
    });

    test('somebody who was removed or disabled in the source meanwhile gets none', async () => {
      const opened = await start();
      await opened.change([{ ...jane, disabled: true }]);
      expect(await set(opened, 'jane', 'another horse')).toEqual({ status: 'unknown' });
      expect(await set(opened, 'zoë', 'another horse')).toEqual({ status: 'unknown' });
    });

    test('many at once are all written', async () => {
      const people = Array.from({ length: 8 }, (_, i) => ({ name: `user${i}`, password: 'old' }));
      const opened = await start(people);
      await Promise.all(people.map(({ name }) => set(opened, name, `new ${name}`)));
      await opened.backend.reload();
      for (const { name } of people) {
        expect(await opened.backend.checkPassword(name, `new ${name}`)).toMatchObject({ status: 'success' });
      }
    });

    test('a backend that cannot write throws BackendUnavailable and changes nothing', async () => {
      const opened = await start();
      await opened.spoil();
      await expect(set(opened, 'jane', 'another horse')).rejects.toThrow(BackendUnavailable);
      expect(await opened.backend.checkPassword('jane', jane.password)).toMatchObject({ status: 'success' });
      opened.cutOff();
      await expect(set(opened, 'jane', 'another horse')).rejects.toThrow(BackendUnavailable);
      await opened.backend.close();
      await expect(set(opened, 'jane', 'another horse')).rejects.toThrow(BackendUnavailable);
    });
  });

  test('reload reads the source again', async () => {
    const { backend, change } = await start();
    await change([
      { ...jane, password: 'new one', groups: ['dev'] },
      { ...zoe, disabled: true },
    ]);
    await backend.reload();
    expect(await backend.find('jane')).toMatchObject({ groups: ['dev'] });
    expect(await backend.find('zoë')).toBeNull();
    expect(await backend.find('gone')).toBeNull();
    expect(await backend.checkPassword('jane', jane.password)).toEqual({ status: 'failure' });
    expect(await backend.checkPassword('jane', 'new one')).toMatchObject({ status: 'success' });
    expect(await backend.checkPassword('zoë', zoe.password)).toEqual({ status: 'failure' });
  });

  test('reload throws for a bad source and keeps the last good state', async () => {
    const { backend, change, spoil } = await start();
    await spoil();
    await expect(backend.reload()).rejects.toThrow(Error);
    expect(await backend.find('jane')).toEqual(profileOfJane);
    expect(await backend.checkPassword('jane', jane.password)).toMatchObject({ status: 'success' });
    await change([jane]);
    await backend.reload();
    expect(await backend.find('zoë')).toBeNull();
  });

  test('after close every call throws BackendUnavailable', async () => {
    const { backend } = await start();
    await backend.close();
    await backend.close();
    await expect((async () => backend.find('jane'))()).rejects.toThrow(BackendUnavailable);
    await expect(backend.checkPassword('jane', jane.password)).rejects.toThrow(BackendUnavailable);
    await expect(backend.reload()).rejects.toThrow(BackendUnavailable);
  });
});
