import { expect, test } from 'vitest';

import { isOwnRequest } from '../../../src/http/csrf.ts';

const portal = 'https://auth.example.com';
const sites = [
  undefined,
  'same-origin',
  'same-site',
  'cross-site',
  'none',
  '',
  'Same-Origin',
  'same-origin, cross-site',
];
const origins = [
  undefined,
  'null',
  portal,
  'https://evil.com',
  'https://app.example.com',
  'http://auth.example.com',
  'https://auth.example.com:8443',
  'https://auth.example.com.evil.com',
  'https://AUTH.example.com',
  'https://auth.example.com/',
  `${portal}, https://evil.com`,
  '',
];

/** What is accepted; everything else is refused. */
const accepted = [
  { site: 'same-origin', origin: undefined, json: true },
  { site: 'same-origin', origin: undefined, json: false },
  { site: 'same-origin', origin: 'null', json: true },
  { site: 'same-origin', origin: 'null', json: false },
  { site: 'same-origin', origin: portal, json: true },
  { site: 'same-origin', origin: portal, json: false },
  { site: undefined, origin: portal, json: true },
  { site: undefined, origin: portal, json: false },
  { site: undefined, origin: undefined, json: true },
];

const all = sites.flatMap((site) =>
  origins.flatMap((origin) => [true, false].map((json) => ({ site, origin, json }))),
);

test.each(all)('site $site, origin $origin, json $json', (source) => {
  const expected = accepted.some(
    (one) => one.site === source.site && one.origin === source.origin && one.json === source.json,
  );
  expect(isOwnRequest({ ...source, portal })).toBe(expected);
});

test('a portal without a name is nobody', () => {
  expect(isOwnRequest({ site: undefined, origin: 'null', portal: 'https://', json: true })).toBe(false);
});
