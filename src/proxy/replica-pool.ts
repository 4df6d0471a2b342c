import { Agent, request as send } from 'node:http';

import type { Authorize } from '../forward-auth/authorize.ts';
import type { HeaderName } from '../http/request-head.ts';

/**
 * Several gateways on this machine as one: each request goes to the next of them, and on to another one if that is gone.
 * For the demo; before a real installation stands a real proxy.
 */
export interface ReplicaPool {
  /** Rejects when no replica can be asked. */
  ask(question: Question): Promise<ReplicaAnswer>;
  /** The decision of any replica. */
  readonly authorize: Authorize;
  close(): void;
}

export interface Question {
  readonly method: string;
  readonly target: string;
  /** A flat list of names and values. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export interface ReplicaAnswer {
  readonly status: number;
  /** A flat list of names and values. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** Milliseconds. */
const DEADLINE = 5000;
/** Nothing of these was done when they failed before an answer, or to do it twice is the same. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD']);
/** What a decision is made of (the forward-auth dialect). */
const ASKED: readonly HeaderName[] = [
  'x-forwarded-method',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-uri',
  'x-forwarded-for',
  'x-requested-with',
  'cookie',
  'accept',
  'authorization',
];

export function openReplicaPool(ports: readonly number[]): ReplicaPool {
  const agent = new Agent({ keepAlive: true });
  let turn = 0;

  const askOne = (port: number, { method, target, headers, body }: Question): Promise<ReplicaAnswer> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, method, path: target, headers, agent, timeout: DEADLINE };
      const outgoing = send(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 502,
            headers: response.rawHeaders,
            body: Buffer.concat(chunks),
          }),
        );
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
      outgoing.on('error', reject);
      outgoing.end(body);
    });

  const ask: ReplicaPool['ask'] = async (question) => {
    const first = turn++;
    let failure: unknown;
    for (let i = 0; i < ports.length; i++) {
      try {
        return await askOne(ports[(first + i) % ports.length] as number, question);
      } catch (error) {
        failure = error;
        const reachedNobody = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
        if (!reachedNobody && !REPEATABLE.has(question.method)) break;
      }
    }
    throw failure;
  };

  return {
    ask,
    async authorize(head) {
      const headers = ASKED.flatMap((name) => {
        const value = head.header(name);
        return value === undefined ? [] : [name, value];
      });
      const target = '/api/authz/forward-auth';
      try {
        const answer = await ask({
          method: 'GET',
          target,
          headers: ['host', 'gateway', ...headers],
          body: Buffer.alloc(0),
        });
        return { ...answer, body: answer.body.toString() };
      } catch {
        return {
          status: 503,
          headers: ['Cache-Control', 'no-store', 'Retry-After', '2'],
          body: '503 Service Unavailable\n',
        };
      }
    },
    close: () => agent.destroy(),
  };
}
