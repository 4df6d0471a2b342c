import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readLine } from '../../../src/cli/read-secret.ts';

/** A terminal of which is noted whether it is in raw mode. */
function terminal() {
  const modes: boolean[] = [];
  const stream = new PassThrough();
  return Object.assign(stream, {
    modes,
    setRawMode(mode: boolean) {
      modes.push(mode);
      return stream as never;
    },
  });
}

test.each([
  ['secret\r', 'secret'],
  ['secret\n', 'secret'],
  ['säcré🔐\r', 'säcré🔐'],
  ['sex\u007fcret\b\bet\r', 'secret'],
  ['\u007f\u007fa\r', 'a'],
  ['wrong\u0015right\r', 'right'],
  ['\r', ''],
  [' a b \r', ' a b '],
])('%j is %j', async (typed, expected) => {
  const input = terminal();
  const line = readLine(input as never);
  input.write(typed);
  expect(await line).toBe(expected);
  expect(input.modes).toEqual([true, false]);
});

test('a character that arrives in pieces is whole', async () => {
  const input = terminal();
  const line = readLine(input as never);
  for (const byte of Buffer.from('漢\r')) input.write(Buffer.from([byte]));
  expect(await line).toBe('漢');
});

test('what was pasted behind the first line is the second', async () => {
  const input = terminal();
  const first = readLine(input as never);
  input.write('one\rtwo\r');
  expect(await first).toBe('one');
  expect(await readLine(input as never)).toBe('two');
});

test.each(['abc\u0003', '\u0004'])(
  'Ctrl-C and Ctrl-D give up and leave the terminal as it was',
  async (typed) => {
    const input = terminal();
    const line = readLine(input as never);
    input.write(typed);
    await expect(line).rejects.toThrow('given up');
    expect(input.modes).toEqual([true, false]);
  },
);
