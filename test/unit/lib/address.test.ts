import { describe, expect, test } from 'vitest';
import {
  formatAddress,
  ldapRules,
  listenerRules,
  parseAddress,
  smtpRules,
  tcpRules,
  udpRules,
} from '../../../src/lib/address.ts';

const listener = listenerRules(9091);

describe('parseAddress', () => {
  test.each([
    ['tcp://:9091/', listener, { scheme: 'tcp', host: '', port: 9091, path: '/' }],
    [':8080', listener, { scheme: 'tcp', host: '', port: 8080, path: '/' }],
    ['0.0.0.0', listener, { scheme: 'tcp', host: '0.0.0.0', port: 9091, path: '/' }],
    ['tcp4://127.0.0.1:0', listener, { scheme: 'tcp4', host: '127.0.0.1', port: 0, path: '/' }],
    ['TCP6://[::1]/auth', listener, { scheme: 'tcp6', host: '::1', port: 9091, path: '/auth' }],
    ['[fe80::1%eth0]:80', listener, { scheme: 'tcp', host: 'fe80::1%eth0', port: 80, path: '/' }],
    ['/run/x.sock', listener, { scheme: 'unix', host: '', port: 0, path: '/', socketPath: '/run/x.sock' }],
    [
      'unix:///run/x.sock?umask=022&path=auth',
      listener,
      { scheme: 'unix', host: '', port: 0, path: '/auth', socketPath: '/run/x.sock', umask: 18 },
    ],
    ['unix://@name', listener, { scheme: 'unix', host: '', port: 0, path: '/', socketPath: '\0name' }],
    ['fd://3', listener, { scheme: 'fd', host: '3', port: 0, path: '/' }],
    ['fd://portal/auth', listener, { scheme: 'fd', host: 'portal', port: 0, path: '/auth' }],
    ['db', tcpRules(5432), { scheme: 'tcp', host: 'db', port: 5432, path: '/' }],
    ['dc.example.com', ldapRules, { scheme: 'ldaps', host: 'dc.example.com', port: 636, path: '/' }],
    ['ldap://dc', ldapRules, { scheme: 'ldap', host: 'dc', port: 389, path: '/' }],
    [
      'ldapi:///run/slapd',
      ldapRules,
      { scheme: 'ldapi', host: '', port: 0, path: '/', socketPath: '/run/slapd' },
    ],
    ['mail', smtpRules, { scheme: 'smtp', host: 'mail', port: 25, path: '/' }],
    ['mail:465', smtpRules, { scheme: 'submissions', host: 'mail', port: 465, path: '/' }],
    ['mail:587', smtpRules, { scheme: 'submission', host: 'mail', port: 587, path: '/' }],
    ['submissions://mail', smtpRules, { scheme: 'submissions', host: 'mail', port: 465, path: '/' }],
    ['udp://time.example.com', udpRules, { scheme: 'udp', host: 'time.example.com', port: 123, path: '/' }],
  ])('%s', (text, rules, expected) => {
    const address = parseAddress(text, rules);
    expect(address).toEqual(expected);
    expect(parseAddress(formatAddress(address), rules)).toEqual(address);
  });

  test.each([
    ['', listener, 'not be empty'],
    ['http://x', listener, 'schemes tcp'],
    ['tcp://a@b', listener, 'no user name'],
    ['tcp://a#b', listener, 'no fragment'],
    ['tcp://a?b', listener, 'no query'],
    ['tcp://a b', listener, 'spaces'],
    ['tcp://a\0', listener, 'spaces'],
    ['tcp://:65536', listener, 'port from 1'],
    ['tcp://a:b', listener, 'host:port'],
    ['tcp://::1', listener, 'brackets'],
    ['tcp://[::g]', listener, 'IPv6'],
    ['tcp://a/b/c', listener, 'one segment'],
    ['tcp://a/..', listener, 'one segment'],
    ['unix://relative', listener, 'absolute path'],
    ['unix:///x?umask=9', listener, 'octal'],
    ['unix:///x?mode=1', listener, 'no parameter'],
    ['fd://', listener, 'descriptor'],
    ['a;b', listener, 'host name'],
    ['tcp://:5432', tcpRules(5432), 'name a host'],
    ['db:0', tcpRules(5432), 'port from 1'],
    ['/run/x', smtpRules, 'not a socket'],
  ])('%j is refused', (text, rules, words) => expect(() => parseAddress(text, rules)).toThrow(words));
});
