/**
 * The queue between what happens and the mail about it. A notice is stored before anything else, so that no pause of the
 * mail server, no restart and no crash loses it; it is delivered in the background, tried again with growing pauses, and
 * dropped, with an event, when its useful life is over or when the server refuses it for good.
 *
 * Many processes may work on one store. Each message is leased by one of them at a time, for longer than an attempt can
 * take, so it is sent once; it is sent twice only if a process stands still or dies between the server's confirmation and
 * the removal, or if the server vanishes before it confirms. Both copies then have one Message-ID.
 */
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Timers } from '../lib/timers.ts';
import type { ClaimedMail, MailLease, MailQueueStore } from './mail-queue-store.ts';
import type { MailTemplates } from './mail-templates.ts';
import type { MailKind, MailNotice } from './messages.ts';
import { type MailMessage, type Notifier, NotifierUnavailable } from './notifier.ts';

export interface MailQueue {
  /**
   * Stores a mail and answers at once; the first attempt is under way then, if this process has a hand free. Throws what
   * the store throws.
   */
  enqueue(notice: MailNotice): Promise<Enqueued>;
  /** Takes up no more work, and resolves when the attempts under way have ended. What is stored stays stored. */
  close(): Promise<void>;
}

export type Enqueued =
  | {
      readonly status: 'stored';
      /**
       * For somebody who waits for the mail: how the first attempt ended, in a minute at most. `waiting`: it goes on in
       * the background. Never rejects.
       */
      readonly firstAttempt: Promise<AttemptOutcome>;
    }
  /** Too many messages wait already. */
  | { readonly status: 'full' };

export type AttemptOutcome = 'sent' | 'waiting' | 'dropped';

/** What is known of a message when something is said about it; not what stands in it. */
export interface MailFacts {
  readonly id: string;
  readonly kind: MailKind;
  readonly recipient: string;
  readonly attempts: number;
}

/** What the queue tells. */
export interface MailQueueEvents {
  mailSent(facts: MailFacts): void;
  mailPostponed(facts: MailFacts, error: unknown): void;
  /** `unreadable`: what was stored is no message; then only its id is known. */
  mailDropped(
    facts: MailFacts | { readonly id: string },
    reason: 'expired' | 'refused' | 'full' | 'unreadable',
    error?: unknown,
  ): void;
  /** The notifier stopped taking messages, or takes them again. */
  mailServerIs(state: 'down' | 'up', cause?: unknown): void;
  /** The store did not answer; the messages in it are tried later. */
  mailQueueFailed(error: unknown): void;
}

export interface MailQueueDeps {
  readonly notifier: Notifier;
  readonly store: MailQueueStore;
  readonly templates: MailTemplates;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly events: MailQueueEvents;
  /** How many messages may wait, in all processes together; default `mostWaiting`. */
  readonly limit?: number;
}

const mostWaiting = 1000;
/** Connections to the mail server of one process. */
const hands = 4;
/** Longer than an attempt, and than clocks of replicas may differ. Milliseconds, as all of these. */
const leaseTime = 120_000;
/** How often is looked for what other processes left. */
const pollTime = 15_000;
const firstPause = 2_000;
const longestPause = 300_000;
/** No pause is longer than this part of the useful life. */
const lifeShare = 1 / 15;

type Payload = MailMessage & { readonly kind: MailKind };

export function createMailQueue(deps: MailQueueDeps): MailQueue {
  const { notifier, store, templates, clock, timers, random, events, limit = mostWaiting } = deps;
  const running = new Set<Promise<unknown>>();
  /** Sent, but not yet removed from the store, which did not answer. */
  const sent = new Set<string>();
  let isClosed = false;
  let isDown = false;
  /** More is due than was claimed. */
  let hasMore = false;
  let claiming: Promise<void> | null = null;
  /** When messages that this process put off are due again. */
  const dueTimes = new Set<number>();
  let wake: { readonly at: number; readonly cancel: () => void } | null = null;

  const newLease = (): MailLease => ({ token: identifier(random), until: clock.now() + leaseTime });

  /** Looks for work at this time, or earlier if that was asked for. */
  function wakeAt(at: number): void {
    if (isClosed || (wake !== null && wake.at <= at)) return;
    wake?.cancel();
    const cancel = timers.after(Math.max(0, at - clock.now()), () => {
      wake = null;
      work();
    });
    wake = { at, cancel };
  }

  /** Runs something that ends by itself, holding one hand. */
  function occupy<T>(job: () => Promise<T>): Promise<T> {
    const task = job().finally(() => {
      running.delete(task);
      if (hasMore) work();
    });
    running.add(task);
    return task;
  }

  /** Claims what is due, as much as there are hands free. One claim at a time. */
  function work(): void {
    const now = clock.now();
    for (const due of dueTimes) if (due <= now) dueTimes.delete(due);
    wakeAt(Math.min(now + pollTime, ...dueTimes));
    const free = hands - running.size;
    if (free <= 0) hasMore = true;
    if (isClosed || claiming !== null || free <= 0) return;
    hasMore = false;
    claiming = claim(free).finally(() => {
      claiming = null;
      if (hasMore) work();
    });
  }

  async function claim(free: number): Promise<void> {
    try {
      const lease = newLease();
      const claimed = await store.claim(lease, clock.now(), free);
      hasMore ||= claimed.length === free;
      for (const mail of claimed) void occupy(() => attempt(mail, lease.token));
    } catch (error) {
      hasMore = false;
      events.mailQueueFailed(error);
    }
  }

  async function attempt(mail: ClaimedMail, token: string): Promise<AttemptOutcome> {
    try {
      return await deliver(mail, token);
    } catch (error) {
      // The store: the message is ours until the lease ends, and due again then.
      events.mailQueueFailed(error);
      return sent.has(mail.id) ? 'sent' : 'waiting';
    }
  }

  async function deliver(mail: ClaimedMail, token: string): Promise<AttemptOutcome> {
    const { id, attempts } = mail;
    if (sent.has(id)) {
      await store.delete(id, token);
      sent.delete(id);
      return 'sent';
    }
    const payload = readPayload(mail.payload);
    if (payload === null) {
      events.mailDropped({ id }, 'unreadable');
      await store.delete(id, token);
      return 'dropped';
    }
    const { kind, ...message } = payload;
    const facts: MailFacts = { id, kind, recipient: message.to.address, attempts };
    const drop = async (reason: 'expired' | 'refused', error?: unknown): Promise<'dropped'> => {
      events.mailDropped(facts, reason, error);
      await store.delete(id, token);
      return 'dropped';
    };
    if (clock.now() >= mail.expiresAt) return drop('expired');
    try {
      await notifier.send(message);
    } catch (error) {
      const isRefused = error instanceof NotifierUnavailable && !error.temporary;
      noteServer(isRefused ? 'up' : 'down', error);
      if (isRefused) return drop('refused', error);
      const next = clock.now() + pauseAfter(attempts, mail.expiresAt - message.createdAt);
      if (next >= mail.expiresAt) return drop('expired', error);
      events.mailPostponed(facts, error);
      await store.postpone(id, token, next);
      dueTimes.add(next);
      wakeAt(next);
      return 'waiting';
    }
    noteServer('up');
    events.mailSent(facts);
    remember(id);
    await store.delete(id, token);
    sent.delete(id);
    return 'sent';
  }

  function remember(id: string): void {
    const [oldest] = sent;
    // Another process may have removed it meanwhile.
    if (sent.size >= limit && oldest !== undefined) sent.delete(oldest);
    sent.add(id);
  }

  function noteServer(state: 'down' | 'up', cause?: unknown): void {
    if (isDown === (state === 'down')) return;
    isDown = state === 'down';
    events.mailServerIs(state, ...(isDown ? [cause] : []));
  }

  /** Grows by two each time; a fifth more or less, so that replicas and messages do not come all together. */
  function pauseAfter(attempts: number, life: number): number {
    const longest = Math.min(longestPause, life * lifeShare);
    const pause = Math.min(firstPause * 2 ** Math.min(attempts - 1, 20), longest);
    return Math.round(pause * (0.8 + (0.4 * random.bytes(2).readUInt16LE()) / 0xffff));
  }

  wakeAt(clock.now());

  return {
    async enqueue(notice) {
      if (isClosed) throw new Error('the mail queue is closed');
      const { kind, to, expiresAt } = notice;
      const id = identifier(random);
      const payload = payloadOf(notice, id, templates);
      const lease = running.size < hands ? newLease() : null;
      const inserted = store.insert(
        { id, payload, nextAttempt: clock.now(), expiresAt },
        limit,
        ...(lease === null ? [] : [lease]),
      );
      const firstAttempt: Promise<AttemptOutcome> =
        lease === null
          ? Promise.resolve('waiting')
          : // The hand is held from here on, so that not more are counted on than there are.
            occupy(async () =>
              (await inserted.catch(() => false))
                ? attempt({ id, payload, expiresAt, attempts: 1 }, lease.token)
                : 'dropped',
            );
      if (!(await inserted)) {
        events.mailDropped({ id, kind, recipient: to.address, attempts: 0 }, 'full');
        return { status: 'full' };
      }
      if (lease === null) {
        hasMore = true;
        work();
      }
      return { status: 'stored', firstAttempt };
    },

    async close() {
      isClosed = true;
      wake?.cancel();
      await claiming;
      await Promise.all(running);
    },
  };
}

/**
 * Stores a mail for the processes that send: for a command, which does not stay. False when too many wait already. Throws
 * what the store throws.
 */
export function storeMail(
  notice: MailNotice,
  { store, templates, clock, random }: Pick<MailQueueDeps, 'store' | 'templates' | 'clock' | 'random'>,
): Promise<boolean> {
  const id = identifier(random);
  const payload = payloadOf(notice, id, templates);
  return store.insert({ id, payload, nextAttempt: clock.now(), expiresAt: notice.expiresAt }, mostWaiting);
}

function identifier(random: Random): string {
  return random.bytes(18).toString('hex');
}

function payloadOf(notice: MailNotice, id: string, templates: MailTemplates): string {
  const { kind, createdAt, to, content } = notice;
  const payload: Payload = {
    id,
    kind,
    createdAt,
    to,
    title: content.title,
    text: templates.text(notice),
    html: templates.html(notice),
  };
  return JSON.stringify(payload);
}

/** Null when it is no message: another version may have stored it. */
function readPayload(text: string): Payload | null {
  try {
    const payload = JSON.parse(text) as Partial<Payload>;
    const isWhole =
      typeof payload.to?.address === 'string' &&
      typeof payload.to.name === 'string' &&
      typeof payload.id === 'string' &&
      typeof payload.createdAt === 'number' &&
      [payload.kind, payload.title, payload.text].every((part) => typeof part === 'string') &&
      (payload.html === null || typeof payload.html === 'string');
    return isWhole ? (payload as Payload) : null;
  } catch {
    return null;
  }
}
