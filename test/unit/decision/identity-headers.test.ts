import * as fc from 'fast-check';
import { validateHeaderValue } from 'node:http';
import { describe, expect, it } from 'vitest';
import { identityHeaders, type Identity } from '../../../src/decision/identity-headers.ts';

const harry = {
  username: 'harry',
  displayName: 'Harry Potter',
  emails: ['harry@example.com', 'h@example.com'],
  groups: ['dev', 'ops'],
};

function headersOf(identity: Identity | null): Record<string, string> {
  const flat = identityHeaders(identity);
  const entries = flat.flatMap((name, i) =>
    i % 2 === 0 ? [[name, Buffer.from(flat[i + 1] ?? '', 'latin1').toString('utf8')]] : [],
  );
  return Object.fromEntries(entries) as Record<string, string>;
}

describe('identityHeaders', () => {
  it('names the person', () => {
    expect(identityHeaders(harry)).toEqual([
      'Remote-User',
      'harry',
      'Remote-Groups',
      'dev,ops',
      'Remote-Name',
      'Harry Potter',
      'Remote-Email',
      'harry@example.com',
    ]);
  });

  it('sends all four empty when there is nobody, or nothing to say', () => {
    const empty = ['Remote-User', '', 'Remote-Groups', '', 'Remote-Name', '', 'Remote-Email', ''];
    expect(identityHeaders(null)).toEqual(empty);
    expect(identityHeaders({ username: '', displayName: '', emails: [], groups: [] })).toEqual(empty);
  });

  it('sends names as UTF-8', () => {
    const flat = identityHeaders({ ...harry, displayName: 'Zoë 漢字' });
    expect(Buffer.from(flat[5] ?? '', 'latin1')).toEqual(Buffer.from('Zoë 漢字', 'utf8'));
  });

  it('makes blanks of control characters in texts', () => {
    const headers = headersOf({
      ...harry,
      displayName: ' X\r\nRemote-Groups: admins\u0000',
      emails: ['a\nb@c'],
    });
    expect(headers['Remote-Name']).toBe('X Remote-Groups: admins');
    expect(headers['Remote-Email']).toBe('a b@c');
  });

  it('keeps a name with odd characters apart from every other name', () => {
    expect(headersOf({ ...harry, username: 'bob\n' })['Remote-User']).toBe('bob%0A');
    expect(headersOf({ ...harry, username: ' bob' })['Remote-User']).toBe('%20bob');
    expect(headersOf({ ...harry, username: 'bob%0A' })['Remote-User']).toBe('bob%250A');
    expect(headersOf({ ...harry, username: '100%' })['Remote-User']).toBe('100%');
  });

  it('never makes two groups of one', () => {
    expect(headersOf({ ...harry, groups: ['a,admins', 'a%2Cadmins', 'b%', 'c'] })['Remote-Groups']).toBe(
      'a%2Cadmins,a%252Cadmins,b%,c',
    );
  });

  it('sends a subset of whole groups when there are too many', () => {
    const groups = Array.from({ length: 500 }, (_, i) => `group-${i}-`.padEnd(60, 'x'));
    const sent = headersOf({ ...harry, groups })['Remote-Groups']?.split(',') ?? [];
    expect(sent).toEqual(groups.slice(0, sent.length));
    expect(sent.length).toBeGreaterThan(100);
  });

  it('never sends a name in part', () => {
    const long = 'n'.repeat(8000);
    expect(headersOf({ username: long, displayName: long, emails: [long], groups: [long, 'dev'] })).toEqual({
      'Remote-User': '',
      'Remote-Groups': 'dev',
      'Remote-Name': '',
      'Remote-Email': '',
    });
  });

  it('is legal for any person, at most 7 KiB, and keeps any two groups apart', () => {
    const text = fc.string({ unit: 'binary' });
    const odd = fc.string({
      unit: fc.constantFrom('a', ',', '%', '2', 'C', ' ', '\n', '\t', 'é', '\ud800', '\u00a0'),
    });
    const person = fc.record({
      username: odd,
      displayName: text,
      emails: fc.array(text),
      groups: fc.uniqueArray(odd, { maxLength: 50 }),
    });
    fc.assert(
      fc.property(person, (identity) => {
        const flat = identityHeaders(identity);
        expect(flat.filter((_, i) => i % 2 === 0)).toEqual([
          'Remote-User',
          'Remote-Groups',
          'Remote-Name',
          'Remote-Email',
        ]);
        for (const [i, value] of flat.entries()) if (i % 2 === 1) validateHeaderValue('x', value);
        expect(flat.reduce((sum, part) => sum + part.length + 2, 0)).toBeLessThanOrEqual(7168);
        const groups = identity.groups.filter((group) => group !== '').map((group) => group.toWellFormed());
        const sent = (flat[3] ?? '').split(',').filter((group) => group !== '');
        expect(new Set(sent).size).toBe(new Set(groups).size);
      }),
    );
  });
});
