import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, onTestFinished, test } from 'vitest';

import { announce } from '../support/announce.ts';
import { startChild } from '../support/child.ts';
import { findProgram, gatewayCommand, mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runRow } from './run-row.ts';
import { startReplica } from './stage.ts';
import { signIn } from './visitor.ts';

/** One gateway with its sessions in files. */

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
if (!isRoot) announce('SKIPPED: F41 fills a small file system of its own, which only root can mount');

async function startFolder(): Promise<string> {
  const folder = await temporaryFolder('sessions');
  onTestFinished(() => folder.remove());
  return join(folder.path, 'sessions');
}

describe('faults of the folder of sessions', () => {
  test.skipIf(!isRoot)('F41', async () => {
    const path = await startFolder();
    await mkdir(path);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tmpfs', path]);
    onTestFinished(async () => void (await run('umount', ['--lazy', path])));
    const { port } = await startReplica({ filesystem: { path } });
    const row = { id: 'F41', fault: 'files: no space left', ports: [port], refuses: 'writes' } as const;
    await runRow(row, async ({ hold }) => {
      const filler = join(path, 'filler');
      await expect(writeFile(filler, Buffer.alloc(5_000_000))).rejects.toThrow(/ENOSPC/);
      // Each sign-out of the load makes room for a sign-in.
      await eventually('signing in is refused', 10_000, async () => {
        return (await signIn(port)).status === 503 || undefined;
      });
      await hold(2);
      await rm(filler);
    });
  });

  test.skipIf(findProgram('prlimit') === undefined && !mustBeComplete)('F41c', async () => {
    const { pid, port } = await startReplica({ filesystem: { path: await startFolder() } });
    const row = { id: 'F41c', fault: 'files: none may be written (size limit)', ports: [port] } as const;
    const limit = (size: string): Promise<unknown> =>
      run('prlimit', ['--pid', String(pid), `--fsize=${size}:`]);
    const { refused } = await runRow({ ...row, refuses: 'writes' }, async ({ hold }) => {
      await limit('0');
      await eventually('signing in is refused', 10_000, async () => {
        return (await signIn(port)).status === 503 || undefined;
      });
      await hold(2);
      await limit('unlimited');
    });
    expect(refused).toBeGreaterThan(0);
  });

  test('F41b', async () => {
    const gateway = await startReplica({ filesystem: { path: await startFolder() } });
    const row = { id: 'F41b', fault: 'files: gateway killed in the midst of writing', ports: [gateway.port] };
    await runRow({ ...row, gatewaysEnd: true }, async () => {
      await gateway.kill();
      await gateway.start();
    });
  });

  test('F42', async () => {
    const path = await startFolder();
    const gateway = await startReplica({ filesystem: { path } });
    const row = {
      id: 'F42',
      fault: 'files: a second gateway on the same folder',
      ports: [gateway.port],
    } as const;
    await runRow({ ...row, refuses: 'nothing' }, async () => {
      const configuration = join(gateway.folder, 'second.yml');
      await writeFile(
        configuration,
        JSON.stringify({
          server: { address: 'tcp://127.0.0.1:0/' },
          session: {
            secret: 'a-session-secret-that-only-tests-use',
            cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
            filesystem: { path },
          },
          authentication_backend: { file: { path: gateway.usersFile } },
          access_control: { default_policy: 'one_factor' },
        }),
      );
      const second = startChild(gatewayCommand, ['--config', configuration], { cwd: gateway.folder });
      onTestFinished(() => second.stop());
      await eventually('the second one ends', 15_000, () => second.hasExited || undefined);
      expect(second.exitCode).toBe(1);
      expect(second.output()).toMatch(/session\.filesystem/);
    });
  });
});
