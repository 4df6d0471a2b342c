/**
 * The looks of mails: our own layout, or templates of the operator's (`notifier.template_path`) as Authelia has them.
 * Such a folder may hold `Event`, `IdentityVerificationOTC` and `IdentityVerificationJWT`, each as `.html` and `.txt`, in
 * the language of Go's templates; what is missing there is ours. In `.html` every value is escaped, also within quotes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderTemplate, TemplateError, type TemplateValue } from '../lib/template.ts';
import { templateFunctions } from '../lib/template-functions.ts';
import {
  elevationCodeMail,
  factorAddedMail,
  type MailContext,
  type MailNotice,
  passwordResetMail,
  type TemplateName,
} from './messages.ts';
import { htmlMail } from './templates/html-mail.ts';
import { escapeHtml } from './templates/markup.ts';
import { textMail } from './templates/text-mail.ts';

export interface MailTemplates {
  readonly text: (notice: MailNotice) => string;
  readonly html: (notice: MailNotice) => string;
}

/** The folder of templates, or a file in it, cannot be used. The text names it, the place in it, and the mend. */
export class InvalidMailTemplate extends Error {
  override name = 'InvalidMailTemplate';
}

type Extension = 'html' | 'txt';

const names: readonly TemplateName[] = ['Event', 'IdentityVerificationOTC', 'IdentityVerificationJWT'];
const extensions: readonly Extension[] = ['html', 'txt'];
/** Characters that a template may make of ordinary values: a mail of more is often refused. */
const longest = 256 * 1024;

/**
 * Reads the templates once, and tries each. Throws `InvalidMailTemplate`. A template that fails later, over values that
 * nobody thought of, is reported to `onFault`, and the mail goes out in our own layout.
 */
export function openMailTemplates(
  folder: string | undefined,
  { onFault }: { readonly onFault: (fault: InvalidMailTemplate) => void },
): MailTemplates {
  const overrides = folder === undefined ? new Map<string, string>() : readOverrides(folder);
  const choose =
    (extension: Extension, own: (notice: MailNotice) => string) =>
    (notice: MailNotice): string => {
      const source = overrides.get(`${notice.template}.${extension}`);
      if (folder === undefined || source === undefined) return own(notice);
      try {
        return renderOverride(join(folder, `${notice.template}.${extension}`), source, notice);
      } catch (error) {
        if (!(error instanceof InvalidMailTemplate)) throw error;
        onFault(error);
        return own(notice);
      }
    };
  return {
    text: choose('txt', ({ content }) => textMail(content)),
    html: choose('html', ({ content }) => htmlMail(content)),
  };
}

function readOverrides(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  let files: readonly string[];
  try {
    files = readdirSync(folder);
  } catch (error) {
    throw new InvalidMailTemplate(
      `notifier.template_path: the folder ${folder} cannot be read (${codeOf(error)}): create it, or remove the key`,
      { cause: error },
    );
  }
  for (const name of names) {
    for (const extension of extensions) {
      const file = `${name}.${extension}`;
      const misspelt = files.find((other) => other !== file && other.toLowerCase() === file.toLowerCase());
      if (misspelt !== undefined)
        throw new InvalidMailTemplate(`${join(folder, misspelt)}: the file must be called ${file}`);
      if (!files.includes(file)) continue;
      const path = join(folder, file);
      const source = readTemplate(path);
      renderOverride(path, source, samples[name]());
      found.set(file, source);
    }
  }
  return found;
}

function readTemplate(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)).replaceAll('\r\n', '\n');
  } catch (error) {
    throw new InvalidMailTemplate(
      error instanceof TypeError
        ? `${path}: the file is not UTF-8: save it in that encoding`
        : `${path}: the file cannot be read (${codeOf(error)})`,
      { cause: error },
    );
  }
}

function renderOverride(path: string, source: string, notice: MailNotice): string {
  const data = new Map<string, TemplateValue>([
    ...Object.entries(notice.values),
    ['Details', new Map(notice.content.details)],
  ]);
  const escaping = path.endsWith('.html') ? { escape: escapeHtml } : {};
  try {
    const rendered = renderTemplate(source, { functions: templateFunctions, data, ...escaping });
    if (rendered.length <= longest) return rendered;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new InvalidMailTemplate(`${path}:${error.line}:${error.column}: the template ${error.message}`, {
      cause: error,
    });
  }
  throw new InvalidMailTemplate(`${path}: the mail must have at most ${longest} characters`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

/** Somebody whose mails are made to see whether a template works. */
const somebody: MailContext = {
  to: { name: 'John Doe', address: 'john@example.com' },
  language: 'en',
  domain: 'auth.example.com',
  at: 0,
  ip: '192.0.2.1',
  device: 'Firefox on Linux',
  accountUrl: 'https://auth.example.com/settings',
};
const sampleLinks = { revokeUrl: 'https://auth.example.com/revoke', expiresAt: 300_000 };
const samples: Readonly<Record<TemplateName, () => MailNotice>> = {
  Event: () => factorAddedMail(somebody, 'totp', 'Phone'),
  IdentityVerificationOTC: () => elevationCodeMail(somebody, { ...sampleLinks, code: 'ABCD2346' }),
  IdentityVerificationJWT: () =>
    passwordResetMail(somebody, {
      ...sampleLinks,
      url: 'https://auth.example.com/reset',
    }),
};
