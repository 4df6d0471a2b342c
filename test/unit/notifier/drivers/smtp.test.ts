import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemTimers } from '../../../../src/lib/timers.ts';
import { openSmtpNotifier } from '../../../../src/notifier/drivers/smtp.ts';
import type { Notifier } from '../../../../src/notifier/notifier.ts';
import { seededRandom } from '../../../support/fake-clock.ts';
import { fakeTimers } from '../../../support/fake-timers.ts';
import { parseMail, type SmtpSink, type SmtpSinkOptions, startSmtpSink } from '../../../support/smtp-sink.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../support/temporary-folder.ts';
import { createTestCertificate, type TestCertificate } from '../../../support/test-authority.ts';
import { message, smtpConfig } from '../fakes.ts';

const trusted = getCACertificates();
const credentials = { username: 'gateway', password: 'p=a,ss wörd' };
let folder: TemporaryFolder;
let certificate: TestCertificate;
let tls: { key: Buffer; cert: Buffer };
const opened: (() => Promise<void>)[] = [];

beforeAll(async () => {
  folder = await temporaryFolder('smtp');
  certificate = await createTestCertificate(folder.path, ['localhost', 'mail.example.com']);
  tls = { key: await readFile(certificate.keyFile), cert: await readFile(certificate.certificateFile) };
  setDefaultCACertificates([...trusted, certificate.authority]);
});
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
  setDefaultCACertificates([...trusted, certificate.authority]);
});
afterAll(async () => {
  setDefaultCACertificates(trusted);
  await folder.remove();
});

async function startSink(options: SmtpSinkOptions = { tls }): Promise<SmtpSink> {
  const sink = await startSmtpSink(options);
  opened.push(() => sink.stop());
  return sink;
}

function openNotifier(sink: SmtpSink, keys: Record<string, unknown> = {}, timers = systemTimers): Notifier {
  const config = smtpConfig({ address: `smtp://localhost:${sink.port}`, ...keys });
  const notifier = openSmtpNotifier(config, { timers, random: seededRandom(1) });
  opened.push(() => notifier.close());
  return notifier;
}

const passing = { name: 'NotifierUnavailable', temporary: true };
const final = { name: 'NotifierUnavailable', temporary: false };

describe('the mail', () => {
  test('goes through STARTTLS with head, text and HTML', async () => {
    const sink = await startSink();
    await openNotifier(sink, { subject: '[Authelia] {title}', identifier: 'gw.example.com' }).send(
      message('one'),
    );
    const [mail] = sink.mails;
    expect(mail).toMatchObject({
      from: 'gateway@example.com',
      recipients: ['jane@example.com'],
      isEncrypted: true,
      signedInBy: null,
    });
    expect(sink.commands.slice(0, 3)).toEqual(['EHLO gw.example.com', 'STARTTLS', 'EHLO gw.example.com']);
    if (mail === undefined) return;
    const parsed = await parseMail(mail);
    expect(parsed).toMatchObject({
      from: { name: 'Gateway', address: 'gateway@example.com' },
      subject: '[Authelia] A title',
      messageId: '<one@example.com>',
      date: '2027-01-15T08:00:00.000Z',
    });
    expect(parsed.html).toContain('<p>The text</p>');
    expect(mail.raw.toString()).toMatch(/^Auto-Submitted: auto-generated\r$/m);
  });

  test('is plain text when HTML is disabled or there is none', async () => {
    const sink = await startSink();
    await openNotifier(sink, { disable_html_emails: true }).send(message('one'));
    await openNotifier(sink).send(message('two', { html: null }));
    for (const mail of sink.mails) expect((await parseMail(mail)).html).toBeUndefined();
    expect(sink.mails).toHaveLength(2);
  });

  test.each([
    'jane@example.com, eve@evil.example',
    'jane@example.com>\r\nRCPT TO:<eve@evil.example',
    '"jane@example.com eve"@evil.example',
    '',
  ])('goes to nobody when the address is %j', async (address) => {
    const sink = await startSink();
    await expect(
      openNotifier(sink).send(message('one', { to: { name: '', address } })),
    ).rejects.toMatchObject(final);
    expect(sink.commands).toEqual([]);
  });
});

describe('encryption', () => {
  test('from the start, with submissions', async () => {
    const sink = await startSink({ tls, implicit: true });
    await openNotifier(sink, { address: `submissions://localhost:${sink.port}` }).send(message('one'));
    expect(sink.mails[0]).toMatchObject({ isEncrypted: true });
    expect(sink.commands).not.toContain('STARTTLS');
  });

  test.each([false, true])(
    'an authority that is not trusted is refused (from the start: %s)',
    async (implicit) => {
      setDefaultCACertificates(trusted);
      const sink = await startSink({ tls, implicit });
      const address = `${implicit ? 'submissions' : 'submission'}://localhost:${sink.port}`;
      await expect(openNotifier(sink, { address }).send(message('one'))).rejects.toMatchObject({
        ...passing,
        message: expect.stringContaining('unable to verify') as unknown,
      });
      await openNotifier(sink, { address, tls: { skip_verify: true } }).send(message('two'));
      expect(sink.mails).toHaveLength(1);
    },
  );

  test.each([false, true])(
    'a certificate of another name is refused (from the start: %s)',
    async (implicit) => {
      const sink = await startSink({ tls, implicit });
      const address = `${implicit ? 'submissions' : 'smtp'}://127.0.0.1:${sink.port}`;
      await expect(openNotifier(sink, { address }).send(message('one'))).rejects.toMatchObject({
        ...passing,
        message: expect.stringContaining("does not match certificate's altnames") as unknown,
      });
      await openNotifier(sink, { address, tls: { server_name: 'mail.example.com' } }).send(message('two'));
      await expect(
        openNotifier(sink, { address, tls: { server_name: 'other.example.com' } }).send(message('three')),
      ).rejects.toMatchObject(passing);
      expect(sink.mails).toHaveLength(1);
    },
  );

  test('a server without STARTTLS is refused, with the mend', async () => {
    const sink = await startSink({});
    await expect(openNotifier(sink).send(message('one'))).rejects.toMatchObject({
      ...passing,
      message: expect.stringMatching(/STARTTLS.*notifier\.smtp\.disable_require_tls/) as unknown,
    });
    expect(sink.commands).not.toContainEqual(expect.stringMatching(/^MAIL/));
    await openNotifier(sink, { disable_require_tls: true }).send(message('two'));
    expect(sink.mails[0]).toMatchObject({ isEncrypted: false });
  });

  test('disable_require_tls still encrypts where it can, disable_starttls does not', async () => {
    const sink = await startSink();
    await openNotifier(sink, { disable_require_tls: true }).send(message('one'));
    await openNotifier(sink, { disable_starttls: true }).send(message('two'));
    expect(sink.mails.map(({ isEncrypted }) => isEncrypted)).toEqual([true, false]);
  });
});

describe('signing in', () => {
  test.each(['SCRAM-SHA-256', 'SCRAM-SHA-1', 'CRAM-MD5', 'PLAIN', 'LOGIN'])('by %s', async (mechanism) => {
    const sink = await startSink({ tls, mechanisms: [mechanism], credentials });
    await openNotifier(sink, credentials).send(message('one'));
    expect(sink.mails[0]).toMatchObject({ signedInBy: `gateway by ${mechanism}` });
  });

  test('by the best of all, after STARTTLS', async () => {
    const mechanisms = ['LOGIN', 'PLAIN', 'SCRAM-SHA-256'];
    const sink = await startSink({ tls, mechanisms, credentials });
    await openNotifier(sink, credentials).send(message('one'));
    expect(sink.mails[0]).toMatchObject({ signedInBy: 'gateway by SCRAM-SHA-256', isEncrypted: true });
  });

  test.each(['SCRAM-SHA-256', 'PLAIN'])(
    'a wrong password is not the fault of the message, and is not shown (%s)',
    async (mechanism) => {
      const sink = await startSink({ tls, mechanisms: [mechanism], credentials });
      const error: unknown = await openNotifier(sink, { ...credentials, password: 'ThePassword' })
        .send(message('one'))
        .catch((cause: unknown) => cause);
      expect(error).toMatchObject({
        ...passing,
        message: expect.stringMatching(/sign-in of "gateway".* 535/) as unknown,
      });
      expect(String(error)).not.toContain('ThePassword');
      expect(sink.mails).toEqual([]);
    },
  );

  test('never shows the password to a server that is not encrypted', async () => {
    const sink = await startSink({ mechanisms: ['PLAIN', 'LOGIN'], credentials });
    await expect(
      openNotifier(sink, { ...credentials, disable_require_tls: true }).send(message('one')),
    ).rejects.toThrow('the connection is not encrypted');
    expect(sink.commands).not.toContainEqual(expect.stringMatching(/^AUTH/));
  });

  test('a server that offers no way is told of', async () => {
    const sink = await startSink();
    await expect(openNotifier(sink, credentials).send(message('one'))).rejects.toThrow('no way to sign in');
  });
});

describe('refusals and silence', () => {
  test.each([
    ['rcpt-5xx', final, '550 5.1.1 nobody of that name'],
    ['data-5xx', final, '554 5.7.1 looks like spam'],
    ['rcpt-4xx', passing, '451 4.3.0 not now'],
    ['data-4xx', passing, '452 4.3.1 disk full'],
    ['mail-5xx', passing, '550 5.7.1 not from you'],
    ['drop', passing, 'closed'],
  ] as const)('%s', async (mode, kind, text) => {
    const sink = await startSink();
    sink.mode = mode;
    const error: unknown = await openNotifier(sink)
      .send(message('one'))
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject(kind);
    expect(String(error)).toContain(text);
    expect(String(error)).toContain(`smtp://localhost:${sink.port}: `);
  });

  test('a server that says nothing any more has 10 seconds', async () => {
    const sink = await startSink();
    sink.mode = 'stall';
    const timers = fakeTimers();
    const sending = openNotifier(sink, {}, timers).send(message('one'));
    const failed = sending.catch((cause: unknown) => cause);
    await sink.stalled();
    timers.advance(10_000);
    expect(await failed).toMatchObject({
      ...passing,
      message: expect.stringContaining('no answer within 10 s') as unknown,
    });
    expect(timers.pending).toBe(0);
  });
});

describe('the check', () => {
  test('names the recipient and sends nothing', async () => {
    const sink = await startSink({ tls, mechanisms: ['PLAIN'], credentials });
    await openNotifier(sink, { ...credentials, startup_check_address: 'Test <check@example.com>' }).check();
    expect(sink.commands.slice(2, 7)).toEqual([
      'EHLO localhost',
      'AUTH PLAIN',
      'MAIL FROM:<gateway@example.com>',
      'RCPT TO:<check@example.com>',
      'RSET',
    ]);
    expect(sink.mails).toEqual([]);
  });

  test('says what the server refuses', async () => {
    const sink = await startSink();
    sink.mode = 'rcpt-5xx';
    await expect(openNotifier(sink).check()).rejects.toMatchObject({
      ...passing,
      message: expect.stringContaining('RCPT TO:<test@authelia.com> was refused: 550') as unknown,
    });
  });
});
