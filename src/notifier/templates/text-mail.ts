import type { MailContent, MailLink } from '../messages.ts';

/**
 * The layout of a mail in plain text. Lines are not wrapped: readers do that, and an address must stay whole. A code
 * stands on a line of its own.
 */
export function textMail(content: MailContent): string {
  const { greeting, paragraphs, code, link, terms, details, advice, revocation, footer } = content;
  const linkLine = ({ text, url }: MailLink): string => `${text}:\n${url}`;
  return `${[
    greeting,
    ...paragraphs,
    ...(code === null ? [] : [code]),
    ...(link === null ? [] : [linkLine(link)]),
    ...(terms === null ? [] : [terms]),
    ...(details.length === 0 ? [] : [details.map(([label, value]) => `${label}: ${value}`).join('\n')]),
    [advice, ...(revocation === null ? [] : [linkLine(revocation)])].join('\n'),
    // What follows this line is a signature for mail programs.
    `-- \n${footer}`,
  ].join('\n\n')}\n`;
}
