/**
 * The layout of a mail in HTML. Mail programs know little: tables carry the layout and inline styles the light colours;
 * the style sheet adds what is dark or narrow where it is understood. Nothing is loaded from anywhere.
 */
import type { MailContent, MailLink } from '../messages.ts';
import { html, Markup } from './markup.ts';

const font = "font-family:-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;";
const mono = "font-family:ui-monospace,'SF Mono',Menlo,Consolas,'Liberation Mono',monospace;";
/** Contrast of text is at least 4.5 to 1 on its ground, in both colour schemes. */
const colour = {
  ground: '#f2f4f7',
  card: '#ffffff',
  line: '#d9dee5',
  text: '#1b2430',
  quiet: '#576271',
  accent: '#1f5fbf',
  onAccent: '#ffffff',
} as const;

const styles = new Markup(`
:root { color-scheme: light dark; supported-color-schemes: light dark; }
body { margin: 0; padding: 0; width: 100%; -webkit-text-size-adjust: 100%; }
@media (max-width: 480px) {
  .outer { padding: 12px 8px 20px !important; }
  .card { padding: 20px 16px !important; }
  .title { font-size: 21px !important; line-height: 27px !important; }
  .code { font-size: 25px !important; letter-spacing: 3px !important; }
  .button { width: 100% !important; }
  .button a { display: block !important; }
  .detail { display: block !important; width: auto !important; padding: 0 !important; }
  .value { padding-bottom: 10px !important; }
}
@media (prefers-color-scheme: dark) {
  body, .ground { background-color: #12161c !important; }
  .card { background-color: #1c222b !important; border-color: #37404d !important; }
  .text, .title, .value { color: #e8ecf1 !important; }
  .quiet, .label { color: #a5b0be !important; }
  .line { border-color: #37404d !important; }
  .code { background-color: #12161c !important; color: #ffffff !important; border-color: #4a5565 !important; }
  .button td { background-color: #8ab8ff !important; }
  .button a { color: #0b1a30 !important; border-color: #8ab8ff !important; }
  .link { color: #8ab8ff !important; }
}
`);

export function htmlMail(content: MailContent): string {
  const { locale, direction, domain, title, greeting, paragraphs, advice, footer } = content;
  // What a list of mails shows after the subject; never the code, which would stand on a locked screen.
  const preview = paragraphs[0] ?? '';
  return html`<!doctype html>
    <html lang="${locale}" dir="${direction}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="supported-color-schemes" content="light dark" />
        <meta name="format-detection" content="telephone=no, date=no, address=no, email=no" />
        <meta name="x-apple-disable-message-reformatting" />
        <title>${title}</title>
        <style>
          ${styles}
        </style>
      </head>
      <body class="ground" style="margin:0;padding:0;background-color:${colour.ground};">
        <div style="display:none;max-height:0;overflow:hidden;">${preview}</div>
        <table
          role="presentation"
          class="ground"
          width="100%"
          cellpadding="0"
          cellspacing="0"
          border="0"
          style="background-color:${colour.ground};"
        >
          <tr>
            <td class="outer" align="center" style="padding:32px 16px;">
              <table
                role="presentation"
                width="100%"
                cellpadding="0"
                cellspacing="0"
                border="0"
                style="max-width:560px;"
              >
                <tr>
                  <td
                    class="quiet"
                    style="${font}padding:0 4px 12px;font-size:14px;line-height:20px;font-weight:600;color:${colour.quiet};word-break:break-word;"
                  >
                    ${domain}
                  </td>
                </tr>
                <tr>
                  <td
                    class="card"
                    style="padding:32px;background-color:${colour.card};border:1px solid ${colour.line};border-radius:12px;"
                  >
                    <h1
                      class="title"
                      style="${font}margin:0 0 16px;font-size:24px;line-height:30px;font-weight:600;color:${colour.text};"
                    >
                      ${title}
                    </h1>
                    ${paragraph(greeting)} ${paragraphs.map(paragraph)}
                    ${content.code === null ? null : code(content.code)}
                    ${content.link === null ? null : button(content.link)}
                    ${content.terms === null ? null : paragraph(content.terms)}
                    ${content.link === null || content.linkCopy === null ? null : copy(content.link, content.linkCopy)}
                    ${content.details.length === 0 ? null : details(content.details)}
                    <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
                      <tr>
                        <td class="line" style="padding-top:16px;border-top:1px solid ${colour.line};">
                          <p
                            class="quiet"
                            style="${font}margin:0;font-size:14px;line-height:21px;color:${colour.quiet};"
                          >
                            ${advice}${content.revocation === null ? null : html`<br />${anchor(content.revocation)}`}
                          </p>
                        </td>
                      </tr>
                    </table>
                  </td>
                </tr>
                <tr>
                  <td
                    class="quiet"
                    style="${font}padding:16px 4px 0;font-size:12px;line-height:18px;color:${colour.quiet};word-break:break-word;"
                  >
                    ${footer}
                  </td>
                </tr>
              </table>
            </td>
          </tr>
        </table>
      </body>
    </html> `.text;
}

function paragraph(text: string): Markup {
  return html`<p
    class="text"
    style="${font}margin:0 0 16px;font-size:16px;line-height:24px;color:${colour.text};word-break:break-word;"
  >
    ${text}
  </p> `;
}

function code(text: string): Markup {
  return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
    <tr>
      <td align="center" style="padding:4px 0 20px;">
        <div
          class="code"
          style="${mono}padding:14px 8px 14px 12px;font-size:30px;line-height:38px;font-weight:600;letter-spacing:4px;color:${colour.text};background-color:${colour.ground};border:1px solid ${colour.line};border-radius:8px;word-break:break-all;"
        >
          ${text}
        </div>
      </td>
    </tr>
  </table>`;
}

function button({ url, text }: MailLink): Markup {
  return html`<table
    role="presentation"
    class="button"
    cellpadding="0"
    cellspacing="0"
    border="0"
    style="margin:4px 0 20px;border-collapse:separate;"
  >
    <tr>
      <td align="center" style="background-color:${colour.accent};border-radius:8px;">
        <a
          href="${url}"
          style="${font}display:inline-block;padding:12px 24px;font-size:16px;line-height:22px;font-weight:600;text-decoration:none;color:${colour.onAccent};border:1px solid ${colour.accent};border-radius:8px;"
          >${text}</a
        >
      </td>
    </tr>
  </table>`;
}

function copy({ url }: MailLink, hint: string): Markup {
  return html`<p
    class="quiet"
    style="${font}margin:0 0 20px;font-size:14px;line-height:21px;color:${colour.quiet};"
  >
    ${hint}<br /><a class="link" href="${url}" style="color:${colour.accent};word-break:break-all;">${url}</a>
  </p>`;
}

function anchor({ url, text }: MailLink): Markup {
  return html`<a class="link" href="${url}" style="color:${colour.accent};">${text}</a>`;
}

function details(rows: MailContent['details']): Markup {
  return html`<table
    role="presentation"
    width="100%"
    cellpadding="0"
    cellspacing="0"
    border="0"
    style="margin:0 0 16px;"
  >
    ${rows.map(
      ([label, value]) =>
        html`<tr>
          <td
            class="detail label"
            valign="top"
            width="36%"
            style="${font}padding:3px 12px 3px 0;font-size:14px;line-height:21px;color:${colour.quiet};"
          >
            ${label}
          </td>
          <td
            class="detail value"
            valign="top"
            style="${font}padding:3px 0;font-size:14px;line-height:21px;color:${colour.text};word-break:break-word;"
          >
            ${value}
          </td>
        </tr> `,
    )}
  </table>`;
}
