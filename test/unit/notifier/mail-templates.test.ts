import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  InvalidMailTemplate,
  type MailTemplates,
  openMailTemplates,
} from '../../../src/notifier/mail-templates.ts';
import { type TemporaryFolder, temporaryFolder } from '../../support/temporary-folder.ts';
import { everyMail, jane } from './fakes.ts';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder('mail-templates');
});
afterEach(() => folder.remove());

async function withFiles(
  files: Readonly<Record<string, string | Buffer>>,
  faults: Error[] = [],
): Promise<MailTemplates> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder.path, name), content);
  return openMailTemplates(folder.path, { onFault: (fault) => faults.push(fault) });
}

const mails = everyMail(jane);

/** As an operator of Authelia has them: with its variables, and the loop over details of its own template. */
const autheliaStyle = {
  'Event.txt':
    '{{ .Title }}\r\n\r\nDear {{ .DisplayName }}, know that {{\r\n.BodyPrefix }} {{ .BodyEvent }} {{ .BodySuffix }}\r\n{{- $keys := sortAlpha (keys .Details) }}{{- range $key := $keys }}\r\n{{ $key }}: {{ index $.Details $key }}\r\n{{- end }}\r\nFrom {{ .RemoteIP }} at {{ .Domain }}\r\n',
  'Event.html':
    '<h1>{{ .Title }}</h1><b title="{{ .DisplayName }}">{{ .BodyEvent }}</b>{{ range $key, $value := .Details }}<i>{{ $key }}={{ $value }}</i>{{ end }}',
  'IdentityVerificationOTC.txt':
    'Code:\n\n{{ .OneTimeCode }}\n\n{{ .RevocationLinkText }} {{ .RevocationLinkURL }}\n',
  'IdentityVerificationJWT.html':
    '<a href="{{ .LinkURL }}">{{ .LinkText | upper }}</a> or <a href="{{ .RevocationLinkURL }}">{{ .RevocationLinkText }}</a>',
};

test('templates of Authelia work, each alone; what is missing is ours', async () => {
  const { text, html } = await withFiles(autheliaStyle);
  expect(text(mails.factorAdded)).toBe(
    'Second factor method added\n\nDear Jane Doe, know that a second factor method was added to your account.\n' +
      'Device: Firefox on Linux\nMethod: Security key or passkey\nName: My blue key\nNetwork address: 192.0.2.1\n' +
      'Time: January 15, 2027 at 08:00 UTC\nFrom 192.0.2.1 at auth.example.com\n',
  );
  expect(html(mails.factorAdded)).toContain(
    '<b title="Jane Doe">second factor method</b><i>Device=Firefox on Linux</i>',
  );
  expect(text(mails.elevationCode)).toBe(
    'Code:\n\nABCDEFGH2346\n\nRevoke the code https://auth.example.com/revoke/one-time-code?id=5cFQqLqJxvnVbXcfEnTnHw\n',
  );
  expect(html(mails.elevationCode)).toContain('<!doctype html>');
  expect(html(mails.passwordReset)).toMatch(
    /^<a href="https:\/\/auth\.example\.com\/reset-password\/step2\?token&#61;[^"]*">CHOOSE A NEW PASSWORD<\/a>/,
  );
  expect(text(mails.passwordReset)).toContain('Hello Jane Doe,');
});

test('every notice has an event that reads as a sentence', async () => {
  const { text } = await withFiles({
    'Event.txt': 'We tell you that {{ .BodyPrefix }} {{ .BodyEvent }} {{ .BodySuffix }}',
  });
  const { passwordReset: _reset, elevationCode: _code, ...notices } = mails;
  for (const notice of Object.values(notices)) {
    expect(text(notice)).toMatch(/^We tell you that [a-z]+ [a-z -]+ [a-z ]+\.$/);
  }
});

test('values are escaped in HTML, in text and in quotes, and only there', async () => {
  const evil = everyMail({ ...jane, to: { ...jane.to, name: `<i a="b" c='d' e=f>&amp;` } }).passwordChanged;
  const { text, html } = await withFiles({
    'Event.html': `{{ .DisplayName }}|{{ printf "%s" .DisplayName }}|{{ $x := .DisplayName }}{{ $x }}|{{ "<b>" }}`,
    'Event.txt': '{{ .DisplayName }}',
  });
  const escaped = '&lt;i a&#61;&quot;b&quot; c&#61;&#39;d&#39; e&#61;f&gt;&amp;amp;';
  expect(html(evil)).toBe(`${escaped}|${escaped}|${escaped}|&lt;b&gt;`);
  expect(text(evil)).toBe(`<i a="b" c='d' e=f>&amp;`);
});

describe('what cannot be used is refused at start, with its place', () => {
  test.each([
    ['Event.html', '<p>\n  {{ .Title', /Event\.html:2:3: the template has an action that is not closed/],
    ['Event.txt', '{{ upperr .Title }}', /Event\.txt:1:4: .*did you mean "upper"/],
    ['IdentityVerificationOTC.txt', '{{ template "base" }}', /not supported/],
    ['Event.txt', '{{ repeat 10000 (repeat 100 "x") }}', /at most 262144 characters/],
    ['Event.txt', Buffer.from([0xff, 0xfe, 0x41]), /Event\.txt: the file is not UTF-8/],
    ['event.html', 'x', /event\.html: the file must be called Event\.html/],
    ['IdentityVerificationJwt.txt', 'x', /must be called IdentityVerificationJWT\.txt/],
  ])('%s: %s', async (name, content, message) => {
    const opened = withFiles({ [name]: content });
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toBeInstanceOf(InvalidMailTemplate);
  });

  test('a folder that is not there', () => {
    const path = join(folder.path, 'none');
    expect(() => openMailTemplates(path, { onFault: () => undefined })).toThrow(
      `notifier.template_path: the folder ${path} cannot be read (ENOENT)`,
    );
  });

  test('a folder in the place of a file', async () => {
    await mkdir(join(folder.path, 'Event.txt'));
    expect(() => openMailTemplates(folder.path, { onFault: () => undefined })).toThrow(
      'cannot be read (EISDIR)',
    );
  });
});

test('a template that fails over one mail is reported, and the mail goes out as ours', async () => {
  const faults: Error[] = [];
  const { text } = await withFiles(
    { 'Event.txt': '{{ if eq .Title "Password changed successfully" }}{{ index (list) 1 }}{{ end }}fine' },
    faults,
  );
  expect(text(mails.factorAdded)).toBe('fine');
  expect(faults).toEqual([]);
  expect(text(mails.passwordChanged)).toContain('Hello Jane Doe,');
  expect(faults.map(String)).toEqual([expect.stringMatching(/Event\.txt:1:\d+: .*index: has no item 1/)]);
});
