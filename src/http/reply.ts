import type { Reply } from './route.ts';

const JSON_TYPE = { 'Content-Type': 'application/json; charset=utf-8' };

/** The success envelope: `{"status":"OK"}`, with data if there is any. */
export function ok(data?: unknown, cookies?: readonly string[]): Reply {
  return {
    status: 200,
    headers: JSON_TYPE,
    body: JSON.stringify({ status: 'OK', data }),
    ...(cookies && { cookies }),
  };
}

/** The failure envelope. The message is for people and never says more than it may. */
export function ko(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify({ status: 'KO', message }) };
}

export function text(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers },
    body: `${message}\n`,
  };
}

/** 303: what was posted is done, go and look there with GET (RFC 9110, section 15.4.4). */
export function seeOther(location: string, cookies?: readonly string[]): Reply {
  return { status: 303, headers: { Location: location }, ...(cookies && { cookies }) };
}
