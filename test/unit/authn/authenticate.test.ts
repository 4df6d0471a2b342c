import { describe, expect, test } from 'vitest';

import { authenticate } from '../../../src/authn/authenticate.ts';
import { askAuthorization, askProxyAuthorization } from '../../../src/authn/basic.ts';
import { levelOf } from '../../../src/authn/gateway-session.ts';
import type { Challenge, Identity, Scheme, SchemeResult } from '../../../src/authn/scheme.ts';
import { authnRequest, fakeHead } from './fakes.ts';

const identityOf = (username: string): Identity => ({
  user: { username, displayName: username, emails: [], groups: [] },
  level: 1,
  factors: [],
});
const john = identityOf('john');
const request = authnRequest(fakeHead());

describe.each([false, true])('schemes that answer later: %s', (later) => {
  let asked: string[] = [];
  const scheme = (name: string, result: SchemeResult, challenge: Challenge | null = null): Scheme => ({
    challenge,
    authenticate() {
      asked.push(name);
      return later ? Promise.resolve(result) : result;
    },
  });
  const run = async (...schemes: readonly Scheme[]) => {
    asked = [];
    return authenticate(schemes, request);
  };

  test('the first that recognises somebody ends the asking', async () => {
    expect(
      await run(scheme('a', 'skip', askAuthorization), scheme('b', john), scheme('c', identityOf('harry'))),
    ).toEqual({
      identity: john,
      failed: false,
      challenge: null,
    });
    expect(asked).toEqual(['a', 'b']);
  });

  test('the first that refuses ends the asking, with its own challenge', async () => {
    expect(
      await run(scheme('a', 'skip'), scheme('b', 'failure', askProxyAuthorization), scheme('c', john)),
    ).toEqual({
      identity: null,
      failed: true,
      challenge: askProxyAuthorization,
    });
    expect(asked).toEqual(['a', 'b']);
  });

  test('nobody: the challenge is that of the last scheme', async () => {
    expect(await run(scheme('a', 'skip', askAuthorization), scheme('b', 'skip'))).toEqual({
      identity: null,
      failed: false,
      challenge: null,
    });
    expect(await run(scheme('a', 'skip'), scheme('b', 'skip', askAuthorization))).toMatchObject({
      challenge: askAuthorization,
    });
    expect(asked).toEqual(['a', 'b']);
  });

  test('a scheme that cannot know ends the asking with its error', async () => {
    const broken: Scheme = {
      challenge: null,
      authenticate() {
        if (later) return Promise.reject(new Error('down'));
        throw new Error('down');
      },
    };
    await expect(run(scheme('a', 'skip'), broken, scheme('c', john))).rejects.toThrow('down');
    expect(asked).toEqual(['a']);
  });
});

test('without schemes everybody is anonymous', () => {
  expect(authenticate([], request)).toEqual({ identity: null, failed: false, challenge: null });
});

test('a promise only where a scheme made one', () => {
  expect(authenticate([{ challenge: null, authenticate: () => john }], request)).not.toBeInstanceOf(Promise);
});

test('each kind of proof counts once', () => {
  expect(levelOf([])).toBe(0);
  expect(levelOf([{ method: 'password', at: 1 }])).toBe(1);
  expect(
    levelOf([
      { method: 'password', at: 1 },
      { method: 'password', at: 2 },
    ]),
  ).toBe(1);
});
