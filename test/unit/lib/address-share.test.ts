import { expect, test } from 'vitest';

import { addressShare } from '../../../src/lib/address-share.ts';

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['fe80::1:2:3:4', 'fe80:0:0:0'],
])('%s counts as %s', (ip, share) => {
  expect(addressShare(ip)).toBe(share);
});
