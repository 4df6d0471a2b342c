import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

import type { Clock } from '../lib/clock.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { Timers } from '../lib/timers.ts';
import { readPlainRequest } from './plain-request.ts';
import type { Head } from './request-head.ts';
import type { RequestMeter } from './request-meter.ts';

/**
 * Connections on which proxies ask for authorizations, answered without the parser and the objects of `node:http`, which
 * cost more than the decision. Only bytes that are exactly one plain request are understood here. With the first that are
 * not, the connection goes to `node:http` for good, those bytes included: whatever two readers could understand differently
 * has one reader, and it is the complete one.
 */
export interface FastLane {
  /** Takes a new connection. */
  take(socket: Socket): void;
  /** From now on each answer ends its connection. */
  drain(): void;
  /** Ends the connections that wait for a request. */
  endIdle(): void;
}

/** Plain values. The same object may be answered again and again; its bytes are made once. */
export interface LaneAnswer {
  readonly status: number;
  /** Names and values in turn; one character for each byte. */
  readonly headers: readonly string[];
  readonly body: string;
}

export interface FastLaneDeps {
  /** The answer, or null for a request that is nothing for this lane: then nothing has happened yet. Throws for a bug. */
  readonly answer: (head: Head) => MaybePromise<LaneAnswer> | null;
  /** The answer in the place of one that could not be made. */
  readonly failed: (error: unknown) => LaneAnswer;
  /** Gives a connection to the complete HTTP parser. */
  readonly handOver: (socket: Socket) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly meter: RequestMeter;
  /** Milliseconds within which the first request of a connection must come. */
  readonly firstTimeout: number;
  /** Milliseconds for which a connection is kept between requests. */
  readonly idleTimeout: number;
}

interface Lane {
  readonly socket: Socket;
  readonly peer: string;
  readonly secure: boolean;
  /**
   * `waiting` for a request; `asked`: its answer is being made; `sending`: the client has not taken it yet; `leaving`: it was
   * the last one. What comes while one is asked or sent waits in the socket.
   */
  state: 'waiting' | 'asked' | 'sending' | 'leaving';
  method: string;
  /** Since when its answer is waited for; null for one that comes at once. */
  began: number | null;
  /** The connection ends with the next answer. */
  closes: boolean;
  answer: LaneAnswer | null;
  /** When the client is given up, unless it is our turn; in turns of the watch. */
  endsAt: number;
}

/** Milliseconds. How often it is looked for clients that have sent or taken nothing for too long. */
const WATCH = 1000;

export function createFastLane(deps: FastLaneDeps): FastLane {
  const { meter } = deps;
  const lanes = new Map<Socket, Lane>();
  const dateOf = createDateHeader(deps.clock);
  const textOf = createAnswerWriter();
  let isDraining = false;

  /** Counts turns of the watch: one timer for all connections, as two for each request cost more than a look now and then. */
  let turn = 0;
  let isWatching = false;
  const watch = (): void => {
    turn++;
    for (const lane of lanes.values())
      if (lane.state !== 'asked' && lane.endsAt < turn) lane.socket.destroy();
    isWatching = lanes.size > 0;
    if (isWatching) deps.timers.after(WATCH, watch);
  };
  const firstTurns = Math.ceil(deps.firstTimeout / WATCH);
  const idleTurns = Math.ceil(deps.idleTimeout / WATCH);

  /**
   * Answers of this turn of the event loop, written at its end: each write may wake the proxy, which costs half as much as
   * the answer, and all of a turn wake it once.
   */
  let ready: Lane[] = [];
  const writeReady = (): void => {
    const some = ready;
    ready = [];
    const date = dateOf();
    for (const lane of some) write(lane, date);
  };

  const settle = (lane: Lane, answer: LaneAnswer): void => {
    lane.answer = answer;
    meter.end('authz', lane.method, answer.status, lane.began);
    if (ready.push(lane) === 1) setImmediate(writeReady);
  };

  const write = (lane: Lane, date: string): void => {
    const { socket } = lane;
    const answer = lane.answer as LaneAnswer;
    if (socket.destroyed) return;
    const closes = lane.closes || isDraining;
    const form = { date, closes, hasBody: lane.method !== 'HEAD' };
    let text: string;
    try {
      text = textOf(answer, form);
    } catch (error) {
      text = textOf(deps.failed(error), form);
    }
    socket.write(text, 'latin1');
    lane.endsAt = turn + firstTurns;
    if (closes) leave(lane);
    else if (socket.writableNeedDrain) {
      lane.state = 'sending';
      socket.once('drain', () => (lane.closes || isDraining ? leave(lane) : listen(lane)));
    } else listen(lane);
  };

  const listen = (lane: Lane): void => {
    lane.state = 'waiting';
    lane.answer = null;
    lane.endsAt = turn + idleTurns;
    lane.began = null;
    if (lane.socket.isPaused()) lane.socket.resume();
  };

  /** Ends with what was written; the watch ends whoever does not take it. */
  const leave = (lane: Lane): void => {
    lane.state = 'leaving';
    lane.endsAt = turn + firstTurns;
    lane.socket.destroySoon();
  };

  const read = (lane: Lane, bytes: Buffer): void => {
    const { socket } = lane;
    if (lane.state === 'leaving') return;
    if (lane.state !== 'waiting') {
      socket.pause();
      socket.unshift(bytes);
      return;
    }
    const request = readPlainRequest(bytes, lane.peer, lane.secure);
    let answer: MaybePromise<LaneAnswer> | null = null;
    if (request) {
      try {
        answer = deps.answer(request.head);
      } catch (error) {
        answer = deps.failed(error);
      }
    }
    if (!request || !answer) {
      lanes.delete(socket);
      for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
      socket.pause();
      deps.handOver(socket);
      socket.unshift(bytes);
      socket.resume();
      return;
    }
    lane.state = 'asked';
    lane.method = request.head.method;
    if (request.closes) lane.closes = true;
    if (answer instanceof Promise) {
      lane.began = meter.begin();
      answer.then(
        (settled) => settle(lane, settled),
        (error: unknown) => settle(lane, deps.failed(error)),
      );
    } else settle(lane, answer);
  };

  // One set of listeners for all connections.
  const listeners = {
    data(this: Socket, bytes: Buffer): void {
      const lane = lanes.get(this);
      if (lane) read(lane, bytes);
    },
    end(this: Socket): void {
      const lane = lanes.get(this);
      if (!lane) return;
      if (lane.state === 'waiting') leave(lane);
      else lane.closes = true;
    },
    error: destroy,
    close(this: Socket): void {
      lanes.delete(this);
    },
  };

  return {
    take(socket) {
      if (socket.destroyed) return;
      lanes.set(socket, {
        socket,
        peer: socket.remoteAddress ?? '',
        secure: 'encrypted' in socket,
        state: 'waiting',
        method: '',
        began: null,
        closes: false,
        answer: null,
        endsAt: turn + firstTurns,
      });
      if (!isWatching) {
        isWatching = true;
        deps.timers.after(WATCH, watch);
      }
      for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    },

    drain() {
      isDraining = true;
    },

    endIdle() {
      for (const { socket, state } of lanes.values()) if (state === 'waiting') socket.destroy();
    },
  };
}

function destroy(this: Socket): void {
  this.destroy();
}

/** The line of RFC 9110, section 6.6.1, made anew each second. */
function createDateHeader(clock: Clock): () => string {
  let line = '';
  let second = Number.NaN;
  return () => {
    const now = Math.floor(clock.now() / 1000);
    if (now !== second) line = `Date: ${new Date((second = now) * 1000).toUTCString()}\r\n`;
    return line;
  };
}

/** What no header may hold: it would be another header, or another text than was meant. */
const UNFIT = /[^\t\u0020-\u007e\u0080-\u00ff]/;

interface AnswerForm {
  /** The line of the date. */
  readonly date: string;
  readonly closes: boolean;
  readonly hasBody: boolean;
}

/**
 * The bytes of an answer, one character for each. Throws for a header that cannot be sent. An answer that is given again in
 * the same second, as those of signed-in people are, is written once.
 */
function createAnswerWriter(): (answer: LaneAnswer, form: AnswerForm) => string {
  const known = new WeakMap<LaneAnswer, { readonly head: string; date: string; text: string }>();
  return (answer, { date, closes, hasBody }) => {
    let entry = known.get(answer);
    if (entry === undefined) known.set(answer, (entry = { head: headOf(answer), date: '', text: '' }));
    if (closes || !hasBody) {
      return `${entry.head}${date}${closes ? 'Connection: close\r\n' : ''}\r\n${hasBody ? bodyOf(answer) : ''}`;
    }
    if (entry.date !== date) {
      entry.date = date;
      entry.text = `${entry.head}${date}\r\n${bodyOf(answer)}`;
    }
    return entry.text;
  };
}

function bodyOf({ body }: LaneAnswer): string {
  return body === '' ? '' : Buffer.from(body).toString('latin1');
}

/** Status line and headers, each line with its end. */
function headOf({ status, headers }: LaneAnswer): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) {
    const line = `${headers[i]}: ${headers[i + 1]}`;
    if (UNFIT.test(line)) throw new Error(`the header ${headers[i]} holds a character that cannot be sent`);
    head += `${line}\r\n`;
  }
  return head;
}
