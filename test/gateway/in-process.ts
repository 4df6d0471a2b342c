import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { formatProblem, loadConfiguration } from '../../src/config/load.ts';
import { createGateway, type Gateway } from '../../src/gateway.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { hashPassword } from '../../src/users/digest.ts';
import { fakeClock, type FakeClock } from '../support/fake-clock.ts';
import { root } from '../support/environment.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { cheapPasswords } from '../unit/users/fakes.ts';

/** The whole gateway in this process, on a free loopback port, with a clock that stands still. */
export interface InProcessGateway {
  readonly gateway: Gateway;
  readonly port: number;
  readonly clock: FakeClock;
  /** How many bytes of randomness were asked for, call by call. A session token is 32. */
  readonly drawn: number[];
  readonly log: readonly {
    readonly level: string;
    readonly message: string;
    readonly fields: Record<string, unknown>;
  }[];
  /** Changes the users file and has it read again. */
  changeUsers(change: (text: string) => string): Promise<void>;
  stop(): Promise<void>;
}

export const PASSWORD = 'a right password';

const CONFIGURATION = `
server:
  address: tcp://127.0.0.1:0/
authentication_backend:
  file:
    path: FOLDER/users.yml
  refresh_interval: always
session:
  secret: a secret for tests only, nobody else knows it
  expiration: 1h
  inactivity: 5m
  remember_me: 30d
  cookies:
    - domain: example.com
      authelia_url: https://auth.example.com
      default_redirection_url: https://home.example.com/
    - domain: example.org
      authelia_url: https://auth.example.org
      name: org_session
      same_site: strict
      remember_me: -1
access_control:
  default_policy: deny
  rules:
    - domain: open.example.com
      policy: bypass
    - domain: two.example.com
      policy: two_factor
    - domain: admin.example.com
      policy: one_factor
      subject: group:admins
    - domain: methods.example.com
      policy: bypass
      methods: [GET]
    - domain:
        - methods.example.com
        - app.example.com
        - home.example.com
        - app.example.org
      policy: one_factor
`;

/** Two people, `john` (groups dev, mail) and `harry`, and `gone`, who is disabled. */
async function usersFile(): Promise<string> {
  const password = await hashPassword(PASSWORD, cheapPasswords, systemRandom);
  const person = (displayname: string, more: object = {}) => ({
    displayname,
    password,
    email: '',
    groups: [],
    ...more,
  });
  const users = {
    john: person('John Doe', { email: 'john.doe@example.com', groups: ['dev'] }),
    harry: person('Harry'),
    gone: person('Gone', { disabled: true }),
  };
  return JSON.stringify({ users });
}

/** Starts with the configuration above, changed by `change`. */
export async function startInProcess(
  change: (text: string) => string = (text) => text,
): Promise<InProcessGateway> {
  const folder = await temporaryFolder('in-process');
  const file = join(folder.path, 'configuration.yml');
  await writeFile(file, change(CONFIGURATION).replaceAll('FOLDER', folder.path));
  const usersPath = join(folder.path, 'users.yml');
  await writeFile(usersPath, await usersFile());
  const { config, problems } = loadConfiguration({ files: [file], environment: {}, filters: [] });
  if (!config) throw new Error(problems.map(formatProblem).join('\n'));

  const log: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void log.push({ level, message, fields });
  const logger: Logger = {
    trace() {},
    debug() {},
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
    isEnabled: () => false,
  };
  const clock = fakeClock();
  const drawn: number[] = [];
  const gateway = await createGateway(config, {
    logger,
    clock,
    random: {
      bytes(size) {
        drawn.push(size);
        return systemRandom.bytes(size);
      },
    },
    webDirectory: join(root, 'web/dist'),
  });
  await gateway.listen();
  return {
    gateway,
    port: (gateway.server.address() as AddressInfo).port,
    clock,
    drawn,
    log,
    async changeUsers(change) {
      await writeFile(usersPath, change(await readFile(usersPath, 'utf8')));
      await gateway.reload(config);
    },
    async stop() {
      await gateway.close(0);
      await folder.remove();
    },
  };
}
