import { once } from 'node:events';
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One request to app1.example.com over HTTP/2; headers may be lists, which become several fields. */
export async function http2Request(
  port: number,
  authority: string,
  headers: OutgoingHttpHeaders,
): Promise<Http2Answer> {
  const session = connect('https://app1.example.com', {
    host: '127.0.0.1',
    port,
    ca: authority,
    servername: 'app1.example.com',
  });
  try {
    const stream = session.request({ ':authority': 'app1.example.com', accept: 'text/html', ...headers });
    stream.setTimeout(10_000, () => stream.close());
    stream.end();
    const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status'?: number }];
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    return { status: answered[':status'] ?? 0, headers: answered, body: Buffer.concat(chunks).toString() };
  } finally {
    session.destroy();
  }
}
