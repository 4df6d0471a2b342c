import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createAttemptLog } from '../../src/storage/attempt-log.ts';
import { createAuditLog } from '../../src/storage/audit-log.ts';
import { createBans } from '../../src/storage/bans.ts';
import { createConsumeOnce } from '../../src/storage/consume-once.ts';
import { startHousekeeping, sweepStorage } from '../../src/storage/housekeeping.ts';
import { createKnownDevices } from '../../src/storage/known-devices.ts';
import { createLeases } from '../../src/storage/leases.ts';
import { createMailQueue } from '../../src/storage/mail-queue.ts';
import { createOneTimeCodes } from '../../src/storage/one-time-codes.ts';
import { createRateBuckets } from '../../src/storage/rate-buckets.ts';
import { createResetLinks } from '../../src/storage/reset-links.ts';
import { createThrottleCounters } from '../../src/storage/throttle-counters.ts';
import { createTotpCredentials } from '../../src/storage/totp-credentials.ts';
import { mustBeComplete } from '../support/environment.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { fakeTimers } from '../support/fake-timers.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { type DatabasePlace, openAt, storageHarnesses } from './storage-harnesses.ts';

const day = 86_400_000;

/** What housekeeping.ts says, on every engine. */
describe.each(Object.keys(storageHarnesses) as (keyof typeof storageHarnesses)[])(
  'housekeeping on %s',
  (name) => {
    const harness = storageHarnesses[name];
    let place: DatabasePlace;
    beforeEach(async ({ skip }) => {
      skip(harness.missing !== undefined && !mustBeComplete, `${harness.missing} is not installed`);
      place = await harness.create();
    });
    afterEach(() => place.dispose());

    test('what is of no more use goes when its time is over, and nothing else', async () => {
      const clock = fakeClock();
      const now = clock.now();
      const config = place.config();
      const storage = await openAt(config, { clock });
      const options = { retention: config.retention, throttleWindow: 120_000 };
      const sweep = async (at: number) => {
        clock.set(at);
        return sweepStorage(storage, 'replica', options);
      };
      await createThrottleCounters(storage).count('user', 'john', now, 1000);
      await createRateBuckets(storage).take('r', 'a', [{ period: 60_000, requests: 5 }], now);
      await createConsumeOnce(storage)('p', 'id', now + 300_000);
      await createTotpCredentials(storage).recordStep('john', 1);
      const times = { createdAt: now, expiresAt: now + 300_000 };
      await createOneTimeCodes(storage).insert({
        id: 'c',
        username: 'john',
        purpose: 'p',
        sessionId: 's',
        code: 'x',
        ip: '',
        attempts: 1,
        ...times,
      });
      await createResetLinks(storage).insert({ id: 'l', username: 'john', ip: '', ...times });
      const bans = createBans(storage);
      const ban = { kind: 'user', subject: 'john', source: 'cli', reason: null, createdAt: now } as const;
      await bans.insert({ ...ban, expiresAt: now + 1000 });
      await bans.insert({ ...ban, expiresAt: null });
      await bans.revoke('user', await bans.insert({ ...ban, expiresAt: null }), now);
      await createMailQueue(storage).insert(
        { id: 'm', payload: '', nextAttempt: now, expiresAt: now + 900_000 },
        9,
      );
      await createAttemptLog(storage).insert({
        at: now,
        username: 'john',
        ip: '',
        kind: '1FA',
        outcome: 'success',
        method: 'GET',
        url: '',
      });
      await createAuditLog(storage).insert({ at: now, event: 'e', username: null, ip: null, details: {} });
      await createKnownDevices(storage).see('john', 'd', now);

      expect(await sweep(now + 59_999)).toEqual({});
      expect(await sweep(now + 60_000)).toEqual({ sallyport_rate_buckets: 1 });
      expect(await sweep(now + 120_000)).toEqual({ sallyport_throttle: 1 });
      expect(await sweep(now + 300_000)).toEqual({ sallyport_used_once: 1 });
      expect(await sweep(now + day)).toEqual({ sallyport_totp_history: 1 });
      expect(await sweep(now + 7 * day + 300_000)).toEqual({
        sallyport_one_time_codes: 1,
        sallyport_reset_links: 1,
      });
      expect(await sweep(now + 8 * day)).toEqual({ sallyport_mail_queue: 1 });
      expect(await sweep(now + 90 * day)).toEqual({ sallyport_attempts: 1, sallyport_bans: 1 });
      expect(await sweep(now + 91 * day)).toEqual({ sallyport_bans: 1 });
      expect(await sweep(now + 365 * day)).toEqual({ sallyport_audit: 1, sallyport_known_devices: 1 });
      expect(
        (await bans.list('user', { limit: 9 })).map(({ expiresAt, revokedAt }) => [expiresAt, revokedAt]),
      ).toEqual([[null, null]]);
      await storage.database.close();
    });

    test('many rows go in several statements, and only one replica removes at a time', async () => {
      const clock = fakeClock();
      const config = place.config();
      const storage = await openAt(config, { clock });
      const rows = Array.from({ length: 1201 }, (_, index) => ({
        purpose: 'p',
        id_hash: `h${index}`,
        expires_at: 1,
      }));
      for (let index = 0; index < rows.length; index += 200) {
        await storage.database.sql
          .insertInto('sallyport_used_once')
          .values(rows.slice(index, index + 200))
          .execute();
      }
      const options = { retention: config.retention, throttleWindow: 120_000 };
      const leases = createLeases(storage);
      await leases.take('housekeeping', 'another', clock.now(), clock.now() + 1000);
      expect(await sweepStorage(storage, 'replica', options)).toBeNull();
      await leases.release('housekeeping', 'another');

      const timers = fakeTimers();
      const housekeeping = startHousekeeping(storage, options, { timers, logger: recordingLogger() });
      timers.advance(900_000);
      await expect
        .poll(async () => (await place.ask('select count(*) from sallyport_used_once'))[0]?.map(Number), {
          timeout: 5000,
        })
        .toEqual([0]);
      await expect.poll(() => timers.pending, { timeout: 5000 }).toBe(1);
      housekeeping.stop();
      expect(timers.pending).toBe(0);
      await storage.database.close();
    });
  },
);
