import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setDefaultCACertificates, getCACertificates } from 'node:tls';
import { systemRandom } from '../../src/lib/random.ts';
import { systemTimers } from '../../src/lib/timers.ts';
import type { Notifier } from '../../src/notifier/notifier.ts';
import { notifierDrivers } from '../../src/notifier/registry.ts';
import { parseMail, startSmtpSink } from '../support/smtp-sink.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate } from '../support/test-authority.ts';
import { smtpConfig } from '../unit/notifier/fakes.ts';

/** A mail as its reader has it. */
export interface ArrivedMail {
  readonly to: { readonly name: string; readonly address: string };
  readonly subject: string;
  readonly text: string;
}

export interface OpenNotifierHarness {
  readonly notifier: Notifier;
  /** What has arrived, in no certain order. */
  readonly arrived: () => Promise<readonly ArrivedMail[]>;
  /** What carries the messages is out of reach from now on, until `mend`. */
  readonly breakDown: () => Promise<void>;
  readonly mend: () => Promise<void>;
  readonly dispose: () => Promise<void>;
}

/** Typed by the registry: a driver without a harness does not compile. */
export const notifierHarnesses: {
  readonly [K in keyof typeof notifierDrivers]: { readonly open: () => Promise<OpenNotifierHarness> };
} = {
  filesystem: { open: openFile },
  smtp: { open: openSmtp },
};

async function openFile(): Promise<OpenNotifierHarness> {
  const folder = await temporaryFolder('notifier');
  const filename = join(folder.path, 'mail', 'notification.txt');
  const notifier = notifierDrivers.filesystem({ filename });
  return {
    notifier,
    async arrived() {
      const names = await readdir(`${filename}.d`).catch(() => []);
      const texts = await Promise.all(names.map((name) => readFile(join(`${filename}.d`, name), 'utf8')));
      return texts.map((all) => {
        const [, name = '', address = '', subject = '', text = ''] =
          /^Date: .*\nRecipient: (?:"(.*)" )?<(.*)>\nSubject: (.*)\n\n([^]*)\n\n$/.exec(all) ?? [];
        return { to: { name: name.replaceAll(/\\(.)/g, '$1'), address }, subject, text };
      });
    },
    async breakDown() {
      // Where the file should be there is a folder.
      await rm(filename, { force: true });
      await mkdir(filename, { recursive: true });
    },
    mend: () => rm(filename, { recursive: true }),
    async dispose() {
      await notifier.close();
      await folder.remove();
    },
  };
}

async function openSmtp(): Promise<OpenNotifierHarness> {
  const folder = await temporaryFolder('notifier');
  const certificate = await createTestCertificate(folder.path, ['localhost']);
  const trusted = getCACertificates();
  setDefaultCACertificates([...trusted, certificate.authority]);
  const sink = await startSmtpSink({
    tls: { key: await readFile(certificate.keyFile), cert: await readFile(certificate.certificateFile) },
  });
  const notifier = notifierDrivers.smtp(smtpConfig({ address: `smtp://localhost:${sink.port}` }), {
    timers: systemTimers,
    random: systemRandom,
  });
  return {
    notifier,
    arrived: () =>
      Promise.all(
        sink.mails.map(async (mail) => {
          const { to, subject = '', text = '' } = await parseMail(mail);
          const { name, address = '' } = to?.[0] ?? { name: '' };
          return { to: { name, address }, subject, text: text.replaceAll('\r\n', '\n').trimEnd() };
        }),
      ),
    breakDown: () => sink.stop(),
    mend: () => sink.start(),
    async dispose() {
      await notifier.close();
      await sink.stop();
      setDefaultCACertificates(trusted);
      await folder.remove();
    },
  };
}
