import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configCommand } from '../../../src/cli/config.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/config/', import.meta.url));

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(words: readonly string[], environment: Record<string, string> = {}) {
  let out = '';
  let err = '';
  let code = 0;
  const command = configCommand({
    out: (text) => (out += text),
    err: (text) => (err += text),
    environment,
    exit: (number) => (code = number),
  });
  await command.parseAsync(words, { from: 'user' });
  return { out, err, code };
}

describe('validate', () => {
  test('a good configuration: 0', async () => {
    const { out, err, code } = await run(['validate', '-c', `${fixtures}good/several-domains.yml`]);
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(out).toContain('several-domains.yml: valid (no errors, no warnings)');
  });

  test('what is not done yet: warnings, still 0', async () => {
    const { out, err, code } = await run(['validate', '--config', `${fixtures}good/every-other-section.yml`]);
    expect(code).toBe(0);
    expect(err).toContain(
      'warning: duo_api: is valid, but this release cannot do it yet and refuses to start with it\n',
    );
    expect(err).toContain('warning: webauthn: is valid, but this release does not use it yet\n');
    expect(out).toContain('valid (no errors, 6 warnings)');
  });

  test('a bad one: 1, every error in its line', async () => {
    const { out, err, code } = await run(['validate', '-c', `${fixtures}bad/cookies-doubled.yml`]);
    expect(code).toBe(1);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(err).toContain('cookies-doubled.yml:4:16: session.cookies[1].domain: example.com stands twice');
    expect(out).toContain('not valid (1 error, no warnings)');
  });

  test('files by variable, by comma and by repetition', async () => {
    const more = join(folder, 'more.yml');
    writeFileSync(more, 'them: dark\n');
    const good = `${fixtures}good/several-domains.yml`;
    expect((await run(['validate'], { SALLYPORT_CONFIG: `${good},${more}` })).err).toContain(
      'them: is not a known key',
    );
    expect((await run(['validate', '-c', good, '-c', more])).err).toContain('them: is not a known key');
    expect((await run(['validate'], { SALLYPORT_CONFIG: join(folder, 'none.yml') })).code).toBe(1);
  });
});

describe('print', () => {
  test('the configuration in force', async () => {
    const { out, code } = await run(['print', '-c', `${fixtures}good/several-domains.yml`], {
      SALLYPORT_LOG_LEVEL: 'debug',
    });
    expect(code).toBe(0);
    expect(out).toContain('level: debug # environment variable SALLYPORT_LOG_LEVEL\n');
  });

  test('nothing of a bad one', async () => {
    const { out, err, code } = await run(['print', '-c', `${fixtures}bad/rules-empty.yml`]);
    expect({ out, code }).toEqual({ out: '', code: 1 });
    expect(err).toContain('access_control.rules: is required');
  });
});

describe('template', () => {
  test('prints what the filters make', async () => {
    const file = join(folder, 'template.yml');
    writeFileSync(file, 'theme: {{ env "COLOUR" }}');
    const words = ['template', '-c', file, '--config.experimental.filters', 'template'];
    expect(await run(words, { COLOUR: 'dark' })).toEqual({ out: 'theme: dark\n', err: '', code: 0 });
    writeFileSync(file, 'theme: {{ envv "COLOUR" }}');
    const { err, code } = await run(words);
    expect(code).toBe(1);
    expect(err).toContain(`error: ${file}:1:11: template calls "envv"`);
  });
});

test('schema is JSON', async () => {
  const { out } = await run(['schema']);
  expect(JSON.parse(out)).toHaveProperty('properties.session');
});
