import { text } from 'node:stream/consumers';
import type { ReadStream } from 'node:tty';
import type { CliIo } from './io.ts';

/** A secret that was asked for; `interactive` if somebody typed it, who may have mistyped. */
interface Secret {
  readonly text: string;
  readonly interactive: boolean;
}

export type ReadSecret = (prompt: string, io: Pick<CliIo, 'err'>) => Promise<Secret>;

/**
 * Asks for a secret on the terminal without showing it; where standard input is no terminal, reads it to its end (one
 * line break at the end does not count). The prompt goes to standard error, so that output can be piped on.
 */
export const readSecret: ReadSecret = async (prompt, io) => {
  const { stdin } = process;
  if (!stdin.isTTY) return { text: (await text(stdin)).replace(/\r?\n$/, ''), interactive: false };
  io.err(prompt);
  try {
    return { text: await readLine(stdin), interactive: true };
  } finally {
    io.err('\n');
  }
};

/** One line of a terminal in raw mode: nothing is echoed, and Backspace, Ctrl-U, Ctrl-C and Ctrl-D are ours to obey. */
export function readLine(
  terminal: Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'pause' | 'resume' | 'unshift'>,
): Promise<string> {
  const decoder = new TextDecoder();
  return new Promise((resolve, reject) => {
    let line: string[] = [];
    const end = (finish: () => void): void => {
      terminal.off('data', onData);
      terminal.setRawMode(false);
      terminal.pause();
      finish();
    };
    const onData = (chunk: Buffer): void => {
      const characters = Array.from(decoder.decode(chunk, { stream: true }));
      for (const [index, character] of characters.entries()) {
        switch (character) {
          case '\r':
          case '\n':
            end(() => resolve(line.join('')));
            // What was pasted behind the line answers the next question.
            if (index + 1 < characters.length) {
              terminal.unshift(Buffer.from(characters.slice(index + 1).join('')));
            }
            return;
          case '\u0003':
          case '\u0004':
            end(() => reject(new Error('given up')));
            return;
          case '\u007f':
          case '\b':
            line.pop();
            break;
          case '\u0015':
            line = [];
            break;
          default:
            line.push(character);
        }
      }
    };
    terminal.setRawMode(true);
    terminal.on('data', onData);
    terminal.resume();
  });
}
