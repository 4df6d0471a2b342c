import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import { gatewayCommand } from './environment.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { exchange, requestBytes } from './raw-http.ts';

/** The first start may have to build the portal. */
const START_DEADLINE_MS = 30_000;

/** A real gateway, `bin/sallyport`, as a process of its own. */
export interface GatewayProcess {
  readonly port: number;
  output(): string;
  /** SIGKILL: gone without a word. */
  kill(): Promise<void>;
  /** SIGSTOP: connections are accepted by the kernel, nobody answers. */
  freeze(): void;
  thaw(): void;
  /** Starts again on the same port after `kill`. Sessions in memory are gone. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts with `configuration.yml` and `users.yml` of a folder of fixtures; what it writes goes below `workFolder`. */
export async function startGatewayProcess(fixtures: string, workFolder: string): Promise<GatewayProcess> {
  const port = await freePort();
  const folder = join(workFolder, `gateway-${port}`);
  const configuration = join(folder, 'configuration.yml');
  await mkdir(folder);
  const text = await readFile(join(fixtures, 'configuration.yml'), 'utf8');
  await writeFile(configuration, text.replace(':9091', `:${port}`).replaceAll('/folder/', `${folder}/`));
  await copyFile(join(fixtures, 'users.yml'), join(folder, 'users.yml'));

  const start = async (): Promise<Child> => {
    const child = startChild(gatewayCommand, ['--config', configuration], { cwd: folder });
    try {
      await eventually('the gateway is ready', START_DEADLINE_MS, async () => {
        if (child.hasExited) return 'exited';
        const answer = await exchange({ port }, requestBytes('GET', '/api/health', [['Host', 'localhost']]));
        return answer.status === 200 ? 'ready' : undefined;
      });
      if (child.hasExited) throw new Error('the gateway ended at its start');
    } catch (cause) {
      await child.stop();
      throw new Error(`the gateway did not start:\n${child.output()}`, { cause });
    }
    return child;
  };

  let child = await start();
  return {
    port,
    output: () => child.output(),
    async kill() {
      child.signal('SIGKILL');
      await child.stop();
    },
    freeze: () => child.signal('SIGSTOP'),
    thaw: () => child.signal('SIGCONT'),
    async restart() {
      child = await start();
    },
    stop: () => child.stop(),
  };
}
