import type { IncomingMessage, ServerResponse } from 'node:http';

/** The demo's application: shows what an application behind the gateway sees. Text for curl, a page for browsers. */
export function whoami(request: IncomingMessage, response: ServerResponse): void {
  const header = (name: string): string => decode(request.headers[name]);
  const identity = [
    ['User', header('remote-user')],
    ['Name', header('remote-name')],
    ['Groups', header('remote-groups')],
    ['Email', header('remote-email')],
  ] as const;
  const site = header('host');
  const others = Object.keys(request.headers)
    .filter((name) => !name.startsWith('remote-'))
    .sort();
  response.setHeader('Cache-Control', 'no-store');
  if (!request.headers.accept?.includes('text/html')) {
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    const lines = [
      ...identity.map(([name, value]) => `Remote-${name}: ${value}`),
      ...others.map((n) => `${n}: ${header(n)}`),
    ];
    response.end(`${request.method} ${site}${request.url}\n${lines.join('\n')}\n`);
    return;
  }
  const rows = (list: readonly (readonly [string, string])[]): string =>
    list
      .map(
        ([name, value]) =>
          `<tr><th scope="row">${escape(name)}</th><td>${escape(value) || '<i>empty</i>'}</td></tr>`,
      )
      .join('');
  const known = header('remote-user') !== '';
  const title = known ? `Hello, ${header('remote-name') || header('remote-user')}` : 'Hello, stranger';
  const port = /:\d+$/.exec(site)?.[0] ?? '';
  const portal = `https://auth.demo.localhost${port}/`;
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.setHeader('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
  response.end(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>
:root{color-scheme:light dark;font:1rem/1.6 system-ui,sans-serif}
body{max-inline-size:44rem;margin:3rem auto;padding:0 1rem}
table{inline-size:100%;border-collapse:collapse;margin-block:1rem}
th,td{text-align:start;vertical-align:top;padding:.4rem .6rem;border-block-end:1px solid #8884;overflow-wrap:anywhere}
th{inline-size:11rem;font-weight:600}
</style></head><body><main>
<h1>${escape(title)}</h1>
<p>This is a sample application at <strong>${escape(site)}</strong>. It has no login of its own: it believes what the gateway says.</p>
<table>${rows(identity.map(([name, value]) => [`Remote-${name}`, value]))}</table>
<p><a href="${escape(portal)}${known ? 'logout' : ''}?rd=${encodeURIComponent(`https://${site}/`)}">Sign ${known ? 'out' : 'in'}</a> · <a href="${escape(portal)}">Portal</a></p>
<details><summary>The whole request</summary><p><code>${escape(`${request.method} ${request.url}`)}</code></p>
<table>${rows(others.map((name) => [name, header(name)]))}</table></details>
</main></body></html>
`);
}

/** Header values arrive as one character for each byte of UTF-8. */
function decode(value: string | string[] | undefined): string {
  const text = Array.isArray(value) ? value.join(', ') : (value ?? '');
  return Buffer.from(text, 'latin1').toString('utf8');
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
