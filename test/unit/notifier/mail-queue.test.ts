import { afterEach, describe, expect, test } from 'vitest';
import { createMailQueue, type MailQueue, type MailQueueEvents } from '../../../src/notifier/mail-queue.ts';
import { openMailTemplates } from '../../../src/notifier/mail-templates.ts';
import { elevationCodeMail, type MailNotice, passwordChangedMail } from '../../../src/notifier/messages.ts';
import { type MailMessage, type Notifier, NotifierUnavailable } from '../../../src/notifier/notifier.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';
import { memoryMailQueueStore } from '../../support/memory-mail-queue-store.ts';
import { jane } from './fakes.ts';

const minute = 60_000;
const templates = openMailTemplates(undefined, {
  onFault(fault) {
    throw fault;
  },
});

/** A notifier that keeps what it is given, and fails as it is told to. */
function fakeNotifier() {
  const notifier = {
    sent: [] as MailMessage[],
    failure: null as Error | null,
    /** While it is set, sending waits for it. */
    gate: null as Promise<void> | null,
    underWay: 0,
    most: 0,
    async send(message: MailMessage) {
      notifier.underWay += 1;
      notifier.most = Math.max(notifier.most, notifier.underWay);
      await notifier.gate;
      notifier.underWay -= 1;
      if (notifier.failure !== null) throw notifier.failure;
      notifier.sent.push(message);
    },
    check: async () => undefined,
    close: async () => undefined,
  } satisfies Notifier & Record<string, unknown>;
  return notifier;
}

const closing: MailQueue[] = [];
afterEach(async () => {
  for (const queue of closing.splice(0)) await queue.close();
});

/** Several queues on one store, with one clock; `turn` lets time pass. */
function set(options: { readonly queues?: number; readonly limit?: number } = {}) {
  const store = memoryMailQueueStore();
  const clock = fakeClock(jane.at);
  const timers = fakeTimers();
  const notifier = fakeNotifier();
  const told: string[] = [];
  const events: MailQueueEvents = {
    mailSent: ({ kind, attempts }) => told.push(`sent ${kind} at attempt ${attempts}`),
    mailPostponed: ({ attempts }) => told.push(`postponed after ${attempts}`),
    mailDropped: (facts, reason) =>
      told.push(`dropped ${'kind' in facts ? facts.kind : 'something'}: ${reason}`),
    mailServerIs: (state) => told.push(state),
    mailQueueFailed: (error) => told.push(`store: ${String(error)}`),
  };
  const queues = Array.from({ length: options.queues ?? 1 }, (_, index) => {
    const limit = options.limit === undefined ? {} : { limit: options.limit };
    const random = seededRandom(index);
    const queue = createMailQueue({ notifier, store, templates, clock, timers, random, events, ...limit });
    closing.push(queue);
    return queue;
  });
  const [queue] = queues;
  if (queue === undefined) throw new Error('no queue');
  const turn = async (ms: number): Promise<void> => {
    clock.advance(ms);
    timers.advance(ms);
    await settle();
  };
  return { store, clock, timers, notifier, told, queue, queues, turn };
}

/** Lets everything run that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let round = 0; round < 50; round += 1) await Promise.resolve();
}

const down = new NotifierUnavailable('down', { temporary: true });
const refused = new NotifierUnavailable('no such person', { temporary: false });
const codeAt = (at: number): MailNotice =>
  elevationCodeMail(
    { ...jane, at },
    { code: 'ABCD2346', revokeUrl: 'https://auth.example.com/revoke', expiresAt: at + 15 * minute },
  );
const code = codeAt(jane.at);
const noticeMail = passwordChangedMail(jane, 'change');

describe('the first attempt', () => {
  test('answers when the mail is stored, and says how it went', async () => {
    const { queue, notifier, store, told } = set();
    const gate = Promise.withResolvers<void>();
    notifier.gate = gate.promise;
    const enqueued = await queue.enqueue(code);
    expect(enqueued.status).toBe('stored');
    expect(store.rows.size).toBe(1);
    expect(notifier.sent).toEqual([]);
    gate.resolve();
    if (enqueued.status === 'stored') expect(await enqueued.firstAttempt).toBe('sent');
    expect(notifier.sent).toMatchObject([
      {
        to: jane.to,
        title: 'Confirm your identity',
        createdAt: jane.at,
        text: expect.stringContaining('ABCD2346'),
      },
    ]);
    expect(store.rows.size).toBe(0);
    expect(told).toEqual(['sent elevation-code at attempt 1']);
  });

  test.each([
    [down, 'waiting', ['down', 'postponed after 1'], 1],
    [new Error('a bug'), 'waiting', ['down', 'postponed after 1'], 1],
    [refused, 'dropped', ['dropped elevation-code: refused'], 0],
  ] as const)('%s: %s', async (failure, outcome, events, left) => {
    const { queue, notifier, store, told } = set();
    notifier.failure = failure;
    const enqueued = await queue.enqueue(code);
    expect(enqueued).toHaveProperty('firstAttempt');
    if (enqueued.status === 'stored') expect(await enqueued.firstAttempt).toBe(outcome);
    expect(told).toEqual(events);
    expect(store.rows.size).toBe(left);
  });

  test('what the store throws is thrown, and nothing is sent', async () => {
    const { queue, store, notifier } = set();
    store.failure = new Error('no database');
    await expect(queue.enqueue(code)).rejects.toThrow('no database');
    await settle();
    expect(notifier.sent).toEqual([]);
    store.failure = null;
    await queue.enqueue(code);
    await settle();
    expect(notifier.sent).toHaveLength(1);
  });
});

describe('trying again', () => {
  test('with pauses that grow to a fifteenth of the useful life', async () => {
    const { queue, notifier, clock, turn, store } = set();
    notifier.failure = down;
    const attempts: number[] = [];
    const send = notifier.send.bind(notifier);
    notifier.send = (message) => {
      attempts.push(clock.now() - jane.at);
      return send(message);
    };
    await queue.enqueue(code);
    await settle();
    while (store.rows.size > 0) await turn(100);
    const pauses = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
    for (const [index, pause] of pauses.entries()) {
      const nominal = Math.min(2000 * 2 ** index, minute);
      expect([index, pause >= nominal * 0.8, pause <= nominal * 1.2 + 100]).toEqual([index, true, true]);
    }
    expect(attempts.length).toBeGreaterThan(15);
  });

  test('a pause of the server loses nothing', async () => {
    const { queue, notifier, told, turn, store } = set();
    notifier.failure = down;
    for (let count = 0; count < 20; count += 1) await queue.enqueue(noticeMail);
    await turn(0);
    for (let hour = 0; hour < 60; hour += 1) await turn(minute);
    expect(store.rows.size).toBe(20);
    notifier.failure = null;
    for (let step = 0; step < 7; step += 1) await turn(minute);
    expect(notifier.sent).toHaveLength(20);
    expect(store.rows.size).toBe(0);
    expect(told.filter((event) => event === 'down' || event === 'up')).toEqual(['down', 'up']);
  });

  test('a mail that is of no use any more is dropped with an event', async () => {
    const { queue, notifier, told, turn, store } = set();
    notifier.failure = down;
    await queue.enqueue(code);
    for (let step = 0; step < 16; step += 1) await turn(minute);
    expect(store.rows.size).toBe(0);
    expect(told.at(-1)).toBe('dropped elevation-code: expired');
  });

  test('a mail that grew old while nobody worked is not sent', async () => {
    const { queue, notifier, told, store, turn, clock } = set();
    const stored = codeAt(jane.at);
    await store.insert(
      {
        id: 'old',
        payload: JSON.stringify({ ...stored, title: '', text: '', html: null, id: 'old' }),
        nextAttempt: jane.at,
        expiresAt: stored.expiresAt,
      },
      10,
    );
    clock.set(stored.expiresAt);
    await turn(0);
    expect(told).toEqual(['dropped elevation-code: expired']);
    expect([notifier.sent.length, store.rows.size]).toEqual([0, 0]);
    await queue.close();
  });

  test('what is no message is dropped with an event', async () => {
    const { told, store, turn, notifier } = set();
    for (const payload of ['', '{', 'null', '[]', '{"id":"x"}', '{"to":{"address":5}}'])
      await store.insert(
        { id: `id-${payload}`, payload, nextAttempt: jane.at, expiresAt: jane.at + minute },
        10,
      );
    await turn(0);
    await turn(15_000);
    expect(told).toEqual(Array.from({ length: 6 }, () => 'dropped something: unreadable'));
    expect([notifier.sent.length, store.rows.size]).toEqual([0, 0]);
  });
});

describe('bounds', () => {
  test('not more wait than the limit', async () => {
    const { queue, notifier, store, told } = set({ limit: 50 });
    notifier.failure = down;
    for (let count = 0; count < 50; count += 1) expect((await queue.enqueue(code)).status).toBe('stored');
    expect(await queue.enqueue(code)).toEqual({ status: 'full' });
    await settle();
    expect(store.rows.size).toBe(50);
    expect(told).toContain('dropped elevation-code: full');
  });

  test('a burst is sent, four at a time', async () => {
    const { queue, notifier, store } = set();
    const gate = Promise.withResolvers<void>();
    notifier.gate = gate.promise;
    await Promise.all(Array.from({ length: 50 }, () => queue.enqueue(code)));
    await settle();
    expect([notifier.underWay, notifier.most]).toEqual([4, 4]);
    gate.resolve();
    for (let round = 0; round < 20; round += 1) await settle();
    expect([notifier.sent.length, notifier.most, store.rows.size]).toEqual([50, 4, 0]);
  });
});

describe('several processes', () => {
  test('send each message once', async () => {
    const { queues, notifier, turn, store } = set({ queues: 2 });
    notifier.failure = down;
    for (let count = 0; count < 50; count += 1) await queues[count % 2]?.enqueue(noticeMail);
    await turn(0);
    notifier.failure = null;
    for (let step = 0; step < 20; step += 1) await turn(15_000);
    expect(store.rows.size).toBe(0);
    expect(new Set(notifier.sent.map(({ id }) => id)).size).toBe(50);
    expect(notifier.sent).toHaveLength(50);
  });

  test('what one left when it died, another sends once the lease is over', async () => {
    const { store, notifier, turn, queue } = set();
    notifier.failure = down;
    await queue.enqueue(noticeMail);
    await settle();
    await queue.close();
    const [id = ''] = store.rows.keys();
    await turn(10_000);
    const claimed = await store.claim(
      { token: 'of a dead process', until: jane.at + 130_000 },
      jane.at + 10_000,
      1,
    );
    expect(claimed.map((mail) => mail.id)).toEqual([id]);

    const clock = fakeClock(jane.at + 20_000);
    const timers = fakeTimers();
    const other = fakeNotifier();
    const events: MailQueueEvents = {
      mailSent: () => undefined,
      mailPostponed: () => undefined,
      mailDropped: () => undefined,
      mailServerIs: () => undefined,
      mailQueueFailed: () => undefined,
    };
    const next = createMailQueue({
      notifier: other,
      store,
      templates,
      clock,
      timers,
      random: seededRandom(7),
      events,
    });
    closing.push(next);
    for (; clock.now() < jane.at + 125_000; clock.advance(15_000), timers.advance(15_000)) await settle();
    await settle();
    expect(other.sent).toEqual([]);
    clock.advance(15_000);
    timers.advance(15_000);
    await settle();
    expect(other.sent).toMatchObject([{ id }]);
  });

  test('a mail is not sent again when the store forgets to forget it', async () => {
    const { queue, store, notifier, turn, told } = set();
    const gate = Promise.withResolvers<void>();
    notifier.gate = gate.promise;
    const enqueued = await queue.enqueue(noticeMail);
    store.failure = new Error('no database');
    gate.resolve();
    if (enqueued.status === 'stored') expect(await enqueued.firstAttempt).toBe('sent');
    await turn(15_000);
    store.failure = null;
    expect(store.rows.size).toBe(1);
    for (let step = 0; step < 10; step += 1) await turn(15_000);
    expect([notifier.sent.length, store.rows.size]).toEqual([1, 0]);
    expect(told).toContain('store: Error: no database');
  });
});

test('close waits for what is under way and leaves the rest', async () => {
  const { queue, notifier, store, timers } = set();
  const gate = Promise.withResolvers<void>();
  notifier.gate = gate.promise;
  await Promise.all(Array.from({ length: 6 }, () => queue.enqueue(noticeMail)));
  let isClosed = false;
  const closed = queue.close().then(() => (isClosed = true));
  await settle();
  expect(isClosed).toBe(false);
  gate.resolve();
  await closed;
  expect([notifier.sent.length, store.rows.size, timers.pending]).toEqual([4, 2, 0]);
  await expect(queue.enqueue(noticeMail)).rejects.toThrow('closed');
});
