import { expect } from 'vitest';
import type { Row } from './rows.ts';
import { seenBy, seenHeader, type Site } from './site.ts';

/** Sends the request of a row and compares everything that the row says. */
export async function checkRow(site: Site, row: Row): Promise<void> {
  const before = site.arrivals();
  const answer = await site.ask(row.ask);
  const { status, reaches, signIn, seen: wanted = {} } = row.expect;
  expect([status].flat(), `the status, with the body ${answer.body.toString('utf8', 0, 200)}`).toContain(
    answer.status,
  );
  expect(site.arrivals() - before, 'requests that reached an application').toBe(reaches ? 1 : 0);
  if (signIn) {
    expect(answer.all('location')).toHaveLength(1);
    const location = new URL(answer.header('location') ?? 'missing:');
    expect(`${location.protocol}//${location.host}${location.pathname}`).toBe('https://auth.example.com/');
    expect(Object.fromEntries(location.searchParams)).toEqual(signIn);
  }
  if (!reaches) {
    expect(answer.header('x-application')).toBeUndefined();
    return;
  }
  const seen = seenBy(answer);
  if (!seen) throw new Error('the answer is not the application’s');
  expect(seen).toMatchObject({
    method: row.ask.method ?? 'GET',
    target: row.ask.target,
    application: row.ask.host ?? 'app1',
  });
  const actual = Object.fromEntries(
    Object.keys(wanted).map((name) => [name, seenHeader(seen, name).filter(Boolean).join(' & ')]),
  );
  expect(actual).toEqual(wanted);
}
