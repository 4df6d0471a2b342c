import { describe, expect, test } from 'vitest';
import { moveDeprecated } from '../../../src/config/deprecated.ts';
import { parseTree, toValue } from '../../../src/config/tree.ts';

function move(text: string) {
  const { tree, problems } = parseTree(text, 'x.yml');
  expect(problems).toEqual([]);
  if (tree === null) throw new Error('empty');
  const warnings = moveDeprecated(tree).map(
    (problem) => `${problem.line}:${problem.column} ${problem.key} ${problem.message}`,
  );
  return { value: JSON.parse(JSON.stringify(toValue(tree))) as unknown, warnings };
}

describe('moved keys', () => {
  test.each([
    ['{tls_key: a, tls_cert: b}', { server: { tls: { key: 'a', certificate: 'b' } } }],
    ['{log_format: json, log_file_path: /x}', { log: { format: 'json', file_path: '/x' } }],
    ['{port: 80}', { server: { address: 'tcp://:80' } }],
    ['{server: {host: "::1", port: 80, path: /auth}}', { server: { address: 'tcp://[::1]:80/auth' } }],
    [
      '{server: {write_buffer_size: 1, enable_pprof: true}}',
      { server: { buffers: { write: 1 }, endpoints: { enable_pprof: true } } },
    ],
    ['{storage: {postgres: {host: /run/pg, port: 5432}}}', { storage: { postgres: { address: '/run/pg' } } }],
    ['{notifier: {smtp: {host: mail}}}', { notifier: { smtp: { address: 'mail' } } }],
    [
      '{authentication_backend: {file: {password: {algorithm: sha512, iterations: 5000, salt_length: 16, memory: 64}}}}',
      {
        authentication_backend: {
          file: {
            password: {
              algorithm: 'sha2crypt',
              sha2crypt: { variant: 'sha512', iterations: 5000, salt_length: 16 },
            },
          },
        },
      },
    ],
    [
      '{authentication_backend: {file: {password: {memory: 64, parallelism: 2}}}}',
      { authentication_backend: { file: { password: { argon2: { memory: 65536, parallelism: 2 } } } } },
    ],
    [
      '{access_control: {networks: [{name: "10.x", networks: [10.0.0.0/8]}]}}',
      { access_control: {}, definitions: { network: { '10.x': ['10.0.0.0/8'] } } },
    ],
    [
      '{identity_providers: {oidc: {issuer_certificate_chain: c}}}',
      { identity_providers: { oidc: { jwks: [{ certificate_chain: 'c' }] } } },
    ],
  ])('%s', (text, expected) => {
    const { value, warnings } = move(text);
    expect(value).toEqual(expected);
    expect(warnings.length).toBeGreaterThan(0);
  });
});

test('a new key wins over its deprecated one', () => {
  expect(move('log_level: debug\nlog:\n  level: info\n')).toEqual({
    value: { log: { level: 'info' } },
    warnings: ['1:1 log_level is deprecated and ignored, because log.level is set too: remove it'],
  });
});

test('a deprecated key below something that is no map changes nothing', () => {
  const { value, warnings } = move('log_level: debug\nlog: text\n');
  expect(value).toEqual({ log: 'text' });
  expect(warnings).toEqual(['1:1 log_level is deprecated and ignored: write log.level']);
});

test('keys without a value are dropped silently', () => {
  expect(move('log_level:\ntheme: dark\n')).toEqual({ value: { theme: 'dark' }, warnings: [] });
});
