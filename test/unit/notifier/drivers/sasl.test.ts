import { describe, expect, test } from 'vitest';
import type { Random } from '../../../../src/lib/random.ts';
import { type Say, signIn } from '../../../../src/notifier/drivers/sasl.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64');

/** A server that answers in this order, and what it was told. */
function script(...replies: readonly (readonly [status: number, text: string])[]): {
  say: Say;
  heard: string[];
} {
  const heard: string[] = [];
  return {
    heard,
    async say(line) {
      heard.push(line);
      const [status, text] = replies[heard.length - 1] ?? [500, 'too much'];
      return { status, text };
    },
  };
}

/** The nonces of the examples in the RFCs. */
const fixedRandom = (nonce: string): Random => ({ bytes: () => Buffer.from(nonce, 'base64') });
const pencil = { username: 'user', password: 'pencil' };

const examples = {
  // RFC 7677 section 3
  'SCRAM-SHA-256': {
    nonce: 'rOprNGfwEbeRWgbNEkqO',
    first: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    proof: 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    verifier: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
  // RFC 5802 section 5
  'SCRAM-SHA-1': {
    nonce: 'fyko+d2lbbFgONRv9qkxdawL',
    first: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
    proof: 'v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    verifier: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  },
} as const;

describe.each(Object.entries(examples))('%s', (name, { nonce, first, proof, verifier }) => {
  const run = (...replies: readonly (readonly [number, string])[]) => {
    const server = script(...replies);
    const done = signIn(pencil, { offered: [name], isEncrypted: false, say: server.say }, fixedRandom(nonce));
    return { server, done };
  };

  test('says what the example of the RFC says', async () => {
    const { server, done } = run([334, encode(first)], [334, encode(verifier)], [235, 'welcome']);
    await done;
    const nonces = /^r=(.*?),/.exec(first)?.[1];
    expect(server.heard).toEqual([
      `AUTH ${name} ${encode(`n,,n=user,r=${nonce}`)}`,
      encode(`c=biws,r=${nonces},p=${proof}`),
      '',
    ]);
  });

  test.each([
    [
      'a server that cannot prove itself',
      [
        [334, encode(first)],
        [334, encode('v=AAAA')],
        [235, ''],
      ],
      /could not prove/,
    ],
    [
      'a server that says yes too early',
      [
        [334, encode(first)],
        [235, ''],
      ],
      /could not prove/,
    ],
    ['a nonce that is not made of ours', [[334, encode('r=other,s=QSXC,i=4096')]], /nonce/],
    ['too few rounds', [[334, encode(first.replace('4096', '1'))]], /1 iterations/],
    ['too many rounds', [[334, encode(first.replace('4096', '999999999'))]], /999999999 iterations/],
    [
      'a refusal',
      [
        [334, encode(first)],
        [535, '5.7.8 no'],
      ],
      /refuses the sign-in of "user".*535 5\.7\.8 no/,
    ],
    [
      'a server that asks on',
      [
        [334, encode(first)],
        [334, encode(verifier)],
        [334, ''],
      ],
      /more than/,
    ],
  ] as const)('is not content with %s', async (_, replies, message) => {
    await expect(run(...replies).done).rejects.toThrow(message);
  });
});

describe('the choice', () => {
  const all = ['LOGIN', 'PLAIN', 'CRAM-MD5', 'XOAUTH2', 'SCRAM-SHA-1', 'SCRAM-SHA-256'];
  const chosen = async (offered: readonly string[], isEncrypted: boolean): Promise<string> => {
    const server = script([535, '']);
    await signIn(pencil, { offered, isEncrypted, say: server.say }, fixedRandom('AAAA')).catch(
      () => undefined,
    );
    return server.heard[0]?.split(' ')[1] ?? '';
  };

  test.each([
    [all, true, 'SCRAM-SHA-256'],
    [all.slice(0, 5), true, 'SCRAM-SHA-1'],
    [all.slice(0, 4), true, 'CRAM-MD5'],
    [all.slice(0, 2), true, 'PLAIN'],
    [all.slice(0, 1), true, 'LOGIN'],
    [all.slice(0, 3), false, 'CRAM-MD5'],
  ])('of %j, encrypted: %s', async (offered, isEncrypted, name) => {
    expect(await chosen(offered, isEncrypted)).toBe(name);
  });

  test('shows no password on an open line', async () => {
    const { say, heard } = script();
    await expect(
      signIn(pencil, { offered: ['PLAIN', 'LOGIN'], isEncrypted: false, say }, fixedRandom('AAAA')),
    ).rejects.toThrow('the connection is not encrypted');
    expect(heard).toEqual([]);
  });

  test('says what is offered when nothing fits', async () => {
    const { say } = script();
    await expect(
      signIn(pencil, { offered: ['XOAUTH2'], isEncrypted: true, say }, fixedRandom('AAAA')),
    ).rejects.toThrow('no way to sign in that is known here (only XOAUTH2)');
  });
});

test('names with signs of their own are escaped, and typed text is prepared', async () => {
  const { say, heard } = script([535, '']);
  const credentials = { username: 'a=b,c\u00a0\u00add', password: 'x' };
  await signIn(credentials, { offered: ['SCRAM-SHA-1'], isEncrypted: true, say }, fixedRandom('AAAA')).catch(
    () => undefined,
  );
  expect(heard).toEqual([`AUTH SCRAM-SHA-1 ${encode('n,,n=a=3Db=2Cc d,r=AAAA')}`]);
});
