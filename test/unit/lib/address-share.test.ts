import { expect, test } from 'vitest';

import { addressKey } from '../../../src/lib/address-key.ts';
import { addressShare } from '../../../src/lib/address-share.ts';

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['0:0:1::1', '0:0:1::/64'],
  ['::1', '::/64'],
  ['fe80::1:2:3:4', 'fe80::/64'],
])('%s counts as %s', (ip, share) => {
  expect(addressShare(ip)).toBe(share);
});

test.each([
  ['2001:DB8:1:2::/64', '2001:db8:1:2::/64'],
  ['2001:db8:1:2:0::9', '2001:db8:1:2::/64'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['192.0.2.7', '192.0.2.7'],
  ['192.0.2.0/24', null],
  ['somewhere', null],
])('somebody who writes %s means %s', (text, share) => {
  expect(addressKey(text)).toBe(share);
});
