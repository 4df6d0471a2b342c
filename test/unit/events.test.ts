import { expect, test } from 'vitest';

import { createEvents } from '../../src/events.ts';
import { parseCanonicalUrl } from '../../src/lib/canonical-url.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { fakeClock } from '../support/fake-clock.ts';

function setUp(debug = false) {
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void lines.push({ level, message, fields });
  const logger: Logger = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
    isEnabled: (level) => debug || level !== 'debug',
  };
  const clock = fakeClock();
  return { lines, clock, events: createEvents(logger, { now: () => clock.now() }) };
}

const url = parseCanonicalUrl('https', 'app.example.com', '/a?token=secret');
if ('invalid' in url) throw new Error(url.invalid);
const target = { url, method: 'GET', ip: '203.0.113.5' };

test('nothing is logged of what passes, nor of what is turned away, unless one debugs', () => {
  const quiet = setUp();
  for (const outcome of ['allow', 'deny', 'login', 'bad-request'])
    quiet.events.accessDecided({ outcome, target, peer: '10.0.0.1' });
  expect(quiet.lines).toEqual([]);
  const debugging = setUp(true);
  debugging.events.accessDecided({ outcome: 'allow', target, peer: '10.0.0.1' });
  debugging.events.accessDecided({ outcome: 'deny', target, peer: '10.0.0.1' });
  debugging.events.accessDecided({ outcome: 'bad-request', target: null, peer: '10.0.0.1', reason: 'why' });
  expect(debugging.lines).toHaveLength(2);
  expect(debugging.lines[0]).toMatchObject({
    level: 'debug',
    fields: { outcome: 'deny', url: 'https://app.example.com/a', remote_ip: '203.0.113.5' },
  });
  expect(JSON.stringify(debugging.lines)).not.toContain('secret');
  expect(debugging.lines[1]?.fields.reason).toBe('why');
});

test('an outage is one line a second', () => {
  const { events, lines, clock } = setUp();
  const error = new Error('down');
  for (let i = 0; i < 100; i++) {
    events.accessDecided({ outcome: 'unavailable', target, peer: '10.0.0.1', error });
    clock.advance(30);
  }
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatchObject({ level: 'error', fields: { error } });
});

test('a stranger among the proxies is named, with the key that decides', () => {
  const { events, lines } = setUp();
  events.accessDecided({ outcome: 'untrusted-peer', target: null, peer: '8.8.8.8' });
  expect(lines).toMatchObject([{ level: 'warn', fields: { peer: '8.8.8.8' } }]);
  expect(lines[0]?.message).toContain('server.trusted_proxies');
});

test('attempts are told in the words that ban tools look for', () => {
  const { events, lines } = setUp();
  events.passwordChecked({ username: 'john', ip: '203.0.113.5', success: true });
  events.passwordChecked({ username: 'john', ip: '203.0.113.5', success: false });
  expect(lines).toMatchObject([
    {
      level: 'info',
      message: "Successful 1FA authentication attempt made by user 'john'",
      fields: { remote_ip: '203.0.113.5' },
    },
    {
      level: 'error',
      message: "Unsuccessful 1FA authentication attempt by user 'john'",
      fields: { remote_ip: '203.0.113.5' },
    },
  ]);
});
