import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { expect, test } from 'vitest';
import { systemTimers } from '../../../src/lib/timers.ts';
import { openSmtpNotifier } from '../../../src/notifier/drivers/smtp.ts';
import { createMailQueue, type MailQueueEvents } from '../../../src/notifier/mail-queue.ts';
import { openMailTemplates } from '../../../src/notifier/mail-templates.ts';
import { elevationCodeMail } from '../../../src/notifier/messages.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';
import { memoryMailQueueStore } from '../../support/memory-mail-queue-store.ts';
import { parseMail, startSmtpSink } from '../../support/smtp-sink.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { createTestCertificate } from '../../support/test-authority.ts';
import { jane, smtpConfig } from './fakes.ts';

/** The queue with the SMTP driver and a server over real sockets. */

test('a real server that pauses gets everything, once', async () => {
  const folder = await temporaryFolder('mail-queue');
  const certificate = await createTestCertificate(folder.path, ['localhost']);
  const trusted = getCACertificates();
  setDefaultCACertificates([...trusted, certificate.authority]);
  const sink = await startSmtpSink({
    tls: { key: await readFile(certificate.keyFile), cert: await readFile(certificate.certificateFile) },
  });
  try {
    const clock = fakeClock(jane.at);
    const timers = fakeTimers();
    const random = seededRandom(3);
    const address = `smtp://localhost:${sink.port}`;
    const notifier = openSmtpNotifier(smtpConfig({ address }), { timers: systemTimers, random });
    const states: string[] = [];
    const events: MailQueueEvents = {
      mailSent: () => undefined,
      mailPostponed: () => undefined,
      mailDropped: (_, reason) => states.push(reason),
      mailServerIs: (state) => states.push(state),
      mailQueueFailed: (error) => states.push(String(error)),
    };
    const store = memoryMailQueueStore();
    const templates = openMailTemplates(undefined, {
      onFault(fault) {
        throw fault;
      },
    });
    const code = elevationCodeMail(jane, {
      code: 'ABCD2346',
      revokeUrl: 'https://auth.example.com/revoke',
      expiresAt: jane.at + 15 * 60_000,
    });
    const queue = createMailQueue({ notifier, store, templates, clock, timers, random, events });
    await sink.stop();
    const enqueued = await Promise.all(Array.from({ length: 6 }, () => queue.enqueue(code)));
    await Promise.all(enqueued.map((one) => (one.status === 'stored' ? one.firstAttempt : null)));
    expect(sink.mails).toEqual([]);
    await sink.start();
    await eventually('all mails are there', 10_000, () => {
      clock.advance(1000);
      timers.advance(1000);
      return store.rows.size === 0 || undefined;
    });
    const parsed = await Promise.all(sink.mails.map(parseMail));
    expect(new Set(parsed.map(({ messageId }) => messageId)).size).toBe(6);
    expect(parsed).toHaveLength(6);
    expect(states).toEqual(['down', 'up']);
    await queue.close();
    await notifier.close();
  } finally {
    await sink.stop();
    setDefaultCACertificates(trusted);
    await folder.remove();
  }
});
