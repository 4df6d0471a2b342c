import { setTimeout as pause } from 'node:timers/promises';

import type { RawAnswer } from '../support/raw-http.ts';
import { ask, OPEN, PRIVATE, sessionOf, signIn, signOut } from './visitor.ts';

/**
 * A steady load on gateways, and a model of what every answer must be. A session is in from the moment its cookie was
 * answered, out from the moment its end was answered, and unknown while and after its end was asked for without an answer.
 */
export interface Load {
  /** Every answer so far, in the order of arrival. */
  readonly answers: readonly Answer[];
  /** Goes on for so long. */
  goOn(ms: number): Promise<void>;
  /** Ends the load, waits for the last answers and asks for each session at each gateway. */
  stop(): Promise<void>;
  /** The cookies of sessions that are in. */
  living(): readonly string[];
  /** From now on nothing is expected of this session but that it stays out once it is. */
  disregard(cookie: string): void;
  /** Sessions that were in, and were answered as out without having been signed out. */
  readonly lost: readonly string[];
  /** Answers that let in a session whose end had been answered before they were asked for. */
  readonly resurrected: number;
}

export type Kind = 'session' | 'ended' | 'stranger' | 'anonymous' | 'bypass' | 'login' | 'logout';

export interface Answer {
  readonly kind: Kind;
  readonly port: number;
  /** `performance.now()`. */
  readonly sentAt: number;
  readonly answeredAt: number;
  /** 0: no answer, the connection was refused or ended. */
  readonly status: number;
  /** Refused: 503 as it must be, or no connection. Wrong: what must never be. */
  readonly verdict: 'good' | 'refused' | 'wrong';
  readonly why: string;
}

export interface LoadOptions {
  readonly ports: readonly number[];
  /** Requests a second. */
  readonly rate: number;
  /** Sessions that are begun before the load and are made up for. */
  readonly pool: number;
  /** A proxy may say that no gateway answered (502 to 504). Default: false. */
  readonly hasProxy?: boolean;
}

const UNKNOWN_COOKIE = `__Secure-sallyport=${'A'.repeat(43)}`;

/** Of twenty requests in a row. */
const MIX: readonly Kind[] = [
  'session',
  'session',
  'anonymous',
  'session',
  'bypass',
  'session',
  'session',
  'login',
  'session',
  'anonymous',
  'session',
  'ended',
  'session',
  'stranger',
  'bypass',
  'session',
  'logout',
  'session',
  'ended',
  'session',
];

interface Tracked {
  readonly cookie: string;
  /** When its cookie was answered. */
  readonly since: number;
  state: 'in' | 'out' | 'unknown';
}

export async function startLoad({ ports, rate, pool, hasProxy = false }: LoadOptions): Promise<Load> {
  const answers: Answer[] = [];
  const sessions: Tracked[] = [];
  const ended: Tracked[] = [];
  const underWay = new Set<Promise<void>>();
  const lost = [] as string[];
  let resurrected = 0;
  let turn = 0;
  const life = { isOver: false };

  const record = async (
    kind: Kind,
    port: number,
    send: () => Promise<RawAnswer>,
    judge: (answer: RawAnswer) => string,
  ): Promise<RawAnswer | null> => {
    const sentAt = performance.now();
    const note = (status: number, verdict: Answer['verdict'], why = ''): void =>
      void answers.push({ kind, port, sentAt, answeredAt: performance.now(), status, verdict, why });
    let answer: RawAnswer;
    try {
      answer = await send();
    } catch (error) {
      note(0, 'refused', (error as Error).message);
      return null;
    }
    if (hasProxy && isOfProxy(answer)) {
      note(answer.status, 'refused');
      return answer;
    }
    const asks = kind !== 'anonymous' && kind !== 'bypass';
    const why = answer.status === 503 && asks ? faultOfRefusal(answer) : judge(answer);
    note(answer.status, why !== '' ? 'wrong' : answer.status === 503 ? 'refused' : 'good', why);
    return answer;
  };

  const begin = async (port: number): Promise<void> => {
    const user = turn % 2 === 0 ? 'john' : 'zoe';
    const answer = await record(
      'login',
      port,
      () => signIn(port, user),
      (answer) =>
        answer.status === 200 && sessionOf(answer) !== undefined ? '' : `signing in: ${answer.status}`,
    );
    const cookie = answer?.status === 200 ? sessionOf(answer) : undefined;
    if (cookie !== undefined) sessions.push({ cookie, since: performance.now(), state: 'in' });
  };

  const end = async (port: number, one: Tracked): Promise<void> => {
    one.state = 'unknown';
    remove(sessions, one);
    const answer = await record(
      'logout',
      port,
      () => signOut(port, one.cookie),
      (answer) => (answer.status === 200 ? '' : `signing out: ${answer.status}`),
    );
    if (answer?.status !== 200) return;
    one.state = 'out';
    ended.push(one);
  };

  const visit = (port: number, one: Tracked): Promise<unknown> => {
    const before = one.state;
    return record(
      before === 'out' ? 'ended' : 'session',
      port,
      () => ask(port, PRIVATE, one.cookie),
      (answer) => {
        if (answer.status === 200) {
          if (before !== 'out')
            return /^(john|zoe)$/.test(answer.header('remote-user') ?? '') ? '' : 'nobody';
          resurrected++;
          return 'a session that was signed out is let in';
        }
        if (answer.status !== 302) return `a decision: ${answer.status}`;
        if (before === 'in' && one.state === 'in') {
          one.state = 'unknown';
          lost.push(`${Math.round(performance.now() - one.since)} ms after the sign-in`);
          remove(sessions, one);
        }
        return '';
      },
    );
  };

  const stranger = (kind: Kind, port: number, url: string, cookie?: string): Promise<unknown> =>
    record(
      kind,
      port,
      () => ask(port, url, cookie),
      ({ status }) => (status === (url === OPEN ? 200 : 302) ? '' : `${kind}: ${status}`),
    );

  const perform = (kind: Kind, port: number): Promise<unknown> => {
    const some = (list: readonly Tracked[]): Tracked | undefined =>
      list[Math.floor((turn * 7919) / 20) % list.length];
    const [living, gone] = [some(sessions), some(ended)];
    if (kind === 'anonymous') return stranger(kind, port, PRIVATE);
    if (kind === 'bypass') return stranger(kind, port, OPEN, living?.cookie);
    if (kind === 'stranger') return stranger(kind, port, PRIVATE, UNKNOWN_COOKIE);
    if (kind === 'ended' && gone) return visit(port, gone);
    if (kind === 'logout' && living && sessions.length > pool / 2) return end(port, living);
    if (kind === 'login' || !living) return begin(port);
    return visit(port, living);
  };

  // A busy machine may be late at first: who is refused comes again.
  for (let tries = 0; sessions.length < pool && tries < pool * 3; tries++) {
    turn++;
    await begin(ports[tries % ports.length] as number);
  }
  if (sessions.length < pool) throw new Error('nobody can sign in before the fault');
  answers.length = 0;

  const run = async (): Promise<void> => {
    const start = performance.now();
    for (let sent = 0; !life.isOver; sent++) {
      await pause(Math.max(0, start + (sent * 1000) / rate - performance.now()));
      turn++;
      const port = ports[Math.floor(turn / 3) % ports.length] as number;
      const one = perform(MIX[turn % MIX.length] as Kind, port).then(() => void underWay.delete(one));
      underWay.add(one);
    }
  };
  const running = run();

  return {
    answers,
    goOn: (ms) => pause(ms),
    async stop() {
      life.isOver = true;
      await running;
      await Promise.all(underWay);
      for (const one of [...sessions, ...ended]) for (const port of ports) await visit(port, one);
    },
    living: () => sessions.map(({ cookie }) => cookie),
    disregard(cookie) {
      const one = sessions.find((one) => one.cookie === cookie);
      if (one) remove(sessions, one);
    },
    lost,
    get resurrected() {
      return resurrected;
    },
  };
}

/** 502 and 504 are no answers of a gateway, and each 503 of one says when to come again. */
function isOfProxy({ status, header }: RawAnswer): boolean {
  return status === 502 || status === 504 || (status === 503 && header('retry-after') === undefined);
}

/** What is not as it must be about a 503: it is to be repeated, and nobody is signed out by it. Its time is judged later. */
function faultOfRefusal(answer: RawAnswer): string {
  if (answer.header('retry-after') === undefined) return '503 without Retry-After';
  if (answer.header('location') !== undefined) return '503 with Location';
  return answer.header('set-cookie') === undefined ? '' : '503 that sets a cookie';
}

function remove<T>(list: T[], one: T): void {
  const at = list.indexOf(one);
  if (at !== -1) list.splice(at, 1);
}
