/**
 * The log: structured entries, as lines of text (logfmt) or JSON, to standard output, a file, or both.
 *
 * An entry never holds a secret: the values of fields that are named like one are replaced at any depth. No value can
 * forge a line or steer a terminal: control characters are escaped in both formats.
 * Writing never blocks nor ends the process. Lines wait in memory (at most 8 MiB for each destination); those that
 * cannot be written are counted, and the count is logged once the destination works again.
 */
import { closeSync, openSync, write, writeSync } from 'node:fs';
import { pino, type Logger as Pino } from 'pino';
import type { Clock } from './clock.ts';
import { formatTimeLayout, rfc3339 } from './time-layout.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

type Write = (fields: Record<string, unknown>, message: string) => void;

export interface Logger {
  readonly trace: Write;
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** A logger that adds `fields` to every entry. */
  child(fields: Record<string, unknown>): Logger;
  /** Whether an entry of this level would be written: ask before computing costly fields. */
  isEnabled(level: LogLevel): boolean;
}

/** A logger together with what it writes to. */
export interface OpenLogger extends Logger {
  /** Opens the file anew, at the path that its placeholders give now; keeps the old one if that fails. */
  reopen(): void;
  /** Writes what waits, synchronously. Also done by itself when the process exits. */
  flush(): void;
  /** Flushes and closes the file. Later entries are dropped. */
  close(): void;
}

export interface LogOptions {
  /** Entries below it are dropped. */
  level: LogLevel;
  format: 'text' | 'json';
  /**
   * A file to append to, created with mode 0600. `%d` and `{datetime}` stand for the time of opening (RFC 3339),
   * `{datetime:<layout>}` for it in Go's notation. Without it the log goes to standard output.
   */
  filePath?: string;
  /** Write to standard output as well as to the file. */
  keepStdout?: boolean;
}

/** Throws if the file cannot be opened. */
export function openLogger(options: LogOptions, { clock }: { clock: Clock }): OpenLogger {
  const render =
    options.format === 'text' ? (line: string): string => textLine(line) : (line: string): string => line;
  const destinations: Destination[] = [];
  const engine = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: cleanFields },
    },
    {
      write(line: string) {
        const rendered = render(line).replace(unprintable, escapeCharacter);
        for (const destination of destinations) destination.write(rendered);
      },
    },
  );
  const lost = (lines: number, cause: string): void =>
    engine.error({ lines, cause }, 'Log lines were lost, because they could not be written');

  const { filePath } = options;
  const openFile = (): number => openSync(pathNow(filePath ?? '', clock), 'a', 0o600);
  let file: Destination | null = null;
  if (filePath !== undefined) {
    try {
      file = openDestination(openFile(), lost);
    } catch (error) {
      throw new Error(`cannot open '${filePath}' for writing (${codeOf(error)})`, {
        cause: error,
      });
    }
    destinations.push(file);
  }
  if (file === null || options.keepStdout === true) destinations.push(openDestination(1, lost));

  const flush = (): void => {
    for (const destination of destinations) destination.flush();
  };
  process.on('exit', flush);

  return {
    ...loggerOver(engine),
    reopen() {
      if (file === null) return;
      try {
        file.replace(openFile());
      } catch (error) {
        engine.error(
          { path: filePath, cause: codeOf(error) },
          'Cannot reopen the log file, going on with the old one',
        );
      }
    },
    flush,
    close() {
      process.off('exit', flush);
      flush();
      destinations.length = 0;
      file?.close();
    },
  };
}

/** The placeholders are those of Authelia's `log.file_path`. */
function pathNow(path: string, clock: Clock): string {
  return path.replace(/%d|\{datetime(?::([^}]+))?\}/g, (_, layout: string | undefined) =>
    formatTimeLayout(layout ?? rfc3339, clock.now()),
  );
}

function loggerOver(engine: Pino): Logger {
  const at =
    (level: LogLevel): Write =>
    (fields, message) =>
      engine[level](fields, message);
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => loggerOver(engine.child(cleanFields(fields))),
    isEnabled: (level) => engine.isLevelEnabled(level),
  };
}

// --- fields ---------------------------------------------------------------------------------------------------------

const secretWords = new Set(['password', 'secret', 'token', 'cookie', 'authorization', 'key', 'passphrase']);
/** They belong to the entry; a field of this name gets an underscore, so that it cannot pass for them. */
const reserved = new Set(['time', 'level', 'msg']);
const deepest = 6;
const longest = 8192;
const mostItems = 100;

/**
 * A name is judged by its last word: `jwt_secret`, `Set-Cookie` and `privateKey` are secret, `key_id` is not. A field
 * that is just called `key` names a key of the configuration; deeper down it is taken for key material.
 */
function isSecretName(name: string, depth: number): boolean {
  if (name === 'key' && depth === 0) return false;
  const lastWord = /[A-Z]?[a-z]+$|[A-Z]+$/.exec(name)?.[0].toLowerCase();
  return lastWord !== undefined && (secretWords.has(lastWord) || secretWords.has(lastWord.replace(/s$/, '')));
}

function cleanFields(fields: Record<string, unknown>): Record<string, unknown> {
  try {
    return Object.fromEntries(
      Object.entries(cleanObject(fields, 0)).map(([name, value]) => [
        reserved.has(name) ? `${name}_` : name,
        value,
      ]),
    );
  } catch (error) {
    return { unreadable_fields: codeOf(error) };
  }
}

function cleanObject(object: object, depth: number): Record<string, unknown> {
  const clean: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(object).slice(0, mostItems)) {
    if (value === undefined) continue;
    clean[name] = isSecretName(name, depth) && value !== null ? '[redacted]' : cleanValue(value, depth + 1);
  }
  return clean;
}

/** A copy without secrets, cycles and excess, of types that JSON has. */
function cleanValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return value.length > longest ? `${value.slice(0, longest)}…` : value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'object':
      if (value === null) return null;
      break;
    default:
      return String(value);
  }
  if (value instanceof Error) return cleanError(value, depth);
  if (value instanceof URL) return cleanValue(value.href, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= deepest) return '[…]';
  if (Array.isArray(value) || value instanceof Set) {
    return [...value].slice(0, mostItems).map((item) => cleanValue(item, depth + 1));
  }
  if (value instanceof Map) return cleanObject(Object.fromEntries(value), depth);
  return cleanObject(value, depth);
}

function cleanError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const code = codeOf(error, '');
  return {
    name: cleanValue(name, depth),
    message: cleanValue(message, depth),
    ...(code === '' ? {} : { code }),
    ...(stack === undefined ? {} : { stack: cleanValue(stack, depth) }),
    ...(cause === undefined || depth >= deepest ? {} : { cause: cleanValue(cause, depth + 1) }),
  };
}

function codeOf(error: unknown, otherwise = 'unknown error'): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : otherwise;
}

// --- lines ----------------------------------------------------------------------------------------------------------

/**
 * What JSON leaves as it is and yet acts on a terminal or splits a line for some reader: DEL and C1 controls, line
 * separators, marks that turn the direction of text.
 */
const unprintable = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The JSON entry as logfmt: `time="…" level=info msg="…" name=value`, nested names joined with dots. */
function textLine(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const words = [`time=${JSON.stringify(time)}`, `level=${String(level)}`, `msg=${JSON.stringify(msg)}`];
  appendWords(words, '', fields);
  return `${words.join(' ')}\n`;
}

function appendWords(words: string[], prefix: string, fields: object): void {
  for (const [name, value] of Object.entries(fields)) {
    const label = `${prefix}${name.replace(/[^\w-]/g, '_')}`;
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      appendWords(words, `${label}.`, value);
    else
      words.push(
        `${label}=${typeof value === 'string' ? bareOrQuoted(value) : bareOrQuoted(JSON.stringify(value))}`,
      );
  }
}

const bareOrQuoted = (value: string): string =>
  /^[\w.:/@%+,-]+$/.test(value) ? value : JSON.stringify(value);

// --- destinations ---------------------------------------------------------------------------------------------------

interface Destination {
  write(line: string): void;
  flush(): void;
  /** Goes on with another descriptor and closes the one before. */
  replace(fd: number): void;
  close(): void;
}

const mostWaiting = 8 * 1024 * 1024;
const retryAfter = 25;
const syncRetries = 20;

/**
 * Lines of one turn of the event loop are written together, in the background, after that turn: what is logged just
 * before the process exits is still here to be flushed.
 */
function openDestination(descriptor: number, lost: (lines: number, cause: string) => void): Destination {
  let fd = descriptor;
  let waiting: string[] = [];
  let waitingSize = 0;
  let busy = false;
  let lostLines = 0;
  let lostCause = '';
  const outdated: number[] = [];

  const lose = (lines: number, cause: string): void => {
    lostLines += lines;
    lostCause = cause;
  };
  const succeeded = (): void => {
    if (lostLines === 0) return;
    const lines = lostLines;
    lostLines = 0;
    lost(lines, lostCause);
  };
  const take = (): { lines: number; bytes: Buffer } => {
    const taken = { lines: waiting.length, bytes: Buffer.from(waiting.join('')) };
    waiting = [];
    waitingSize = 0;
    return taken;
  };
  const schedule = (): void => {
    if (busy || waiting.length === 0) return;
    busy = true;
    setImmediate(() => {
      const { lines, bytes } = take();
      writeOn(fd, lines, bytes);
    });
  };
  const done = (): void => {
    busy = false;
    for (const old of outdated.splice(0)) closeSync(old);
    schedule();
  };
  const writeOn = (target: number, lines: number, bytes: Buffer): void => {
    if (bytes.length === 0) return done();
    write(target, bytes, (error, written) => {
      if (error !== null && error.code === 'EAGAIN') {
        setTimeout(() => writeOn(target, lines, bytes), retryAfter).unref();
      } else if (error !== null) {
        lose(lines, codeOf(error));
        done();
      } else if (written < bytes.length) {
        writeOn(target, lines, bytes.subarray(written));
      } else {
        succeeded();
        done();
      }
    });
  };

  return {
    write(line) {
      if (waitingSize + line.length > mostWaiting) return lose(1, 'too many lines waiting');
      waiting.push(line);
      waitingSize += line.length;
      schedule();
    },
    flush() {
      const { lines, bytes } = take();
      let written = 0;
      for (let attempt = 0; written < bytes.length && attempt < syncRetries;) {
        try {
          written += writeSync(fd, bytes, written);
        } catch (error) {
          if (codeOf(error) !== 'EAGAIN') return lose(lines, codeOf(error));
          attempt += 1;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryAfter);
        }
      }
      if (written < bytes.length) lose(lines, 'EAGAIN');
    },
    replace(next) {
      outdated.push(fd);
      fd = next;
      if (!busy) done();
    },
    close() {
      outdated.push(fd);
      fd = -1;
      if (!busy) done();
    },
  };
}
