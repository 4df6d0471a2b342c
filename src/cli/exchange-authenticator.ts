import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import { messageOf } from '../lib/message-of.ts';
import { createRecoveryCodeRows } from '../storage/recovery-codes.ts';
import type { Storage } from '../storage/storage.ts';
import { createTotpCredentials } from '../storage/totp-credentials.ts';
import type { CliIo } from './io.ts';
import { recordDeed } from './record-deed.ts';
import { describeStoreFailure, type OpenSharedSessions, unsharedReason } from './shared-sessions.ts';
import { CommandFailure, type StorageSetting } from './storage-options.ts';
import { storeNotice, tellRevokedIn } from './tell-revoked.ts';

/**
 * Changes a person's authenticator so that nothing of an earlier one is left: its recovery codes go first, and what may have
 * been opened with it ends before and after. A store that does not answer keeps everything as it is; sessions that no other
 * process can end are a warning. The change goes into the audit log, and the person is told of it as far as his address is
 * known from a session.
 */
export interface AuthenticatorExchange {
  /** What `write` answers: whether it has changed anything. */
  run(
    username: string,
    kind: 'factor-added' | 'factor-removed',
    write: () => Promise<boolean>,
  ): Promise<boolean>;
  close(): Promise<void>;
}

export interface ExchangeDeps {
  readonly storage: Storage;
  readonly setting: StorageSetting;
  readonly io: CliIo;
  readonly open: OpenSharedSessions;
}

export function createAuthenticatorExchange({
  storage,
  setting: { config },
  io,
  open,
}: ExchangeDeps): AuthenticatorExchange {
  const totp = createTotpCredentials(storage);
  const recoveryCodes = createRecoveryCodeRows(storage);
  let opened: GatewaySessions | null = null;

  const sessionsOf = async (username: string): Promise<GatewaySessions | null> => {
    const reason = unsharedReason(config);
    if (reason !== null) {
      io.err(`warning: what ${username} has open with the earlier authenticator stays open: ${reason}\n`);
      return null;
    }
    try {
      return (opened ??= await open(config, io));
    } catch (error) {
      throw untouched(username, error);
    }
  };
  const record = (event: 'factor.added' | 'factor.removed', username: string): Promise<void> =>
    recordDeed(storage, { event, username, details: { factor: 'totp' } }, io);

  return {
    async run(username, kind, write) {
      const sessions = (await totp.has(username)) ? await sessionsOf(username) : null;
      // Afterwards nobody knows whom to tell. What cannot be read can still be ended.
      const before: readonly GatewaySession[] = (await sessions?.listOf(username).catch(() => [])) ?? [];
      let count = 0;
      const endAll = async (): Promise<void> => {
        count += (await sessions?.endAllOf(username, 'revoked')) ?? 0;
      };
      await endAll().catch((error: unknown) => {
        throw untouched(username, error);
      });
      const [example = null] = before;
      const tell = (): Promise<void> =>
        tellRevokedIn(
          { username, count, ended: before.map(({ publicId }) => publicId), example },
          config,
          storage,
          io,
        );
      try {
        await recoveryCodes.remove(username);
        if (!(await write())) return false;
        await record(kind === 'factor-added' ? 'factor.added' : 'factor.removed', username);
        await storeNotice({ kind, factor: 'totp' }, example, config, storage).catch((error: unknown) =>
          io.err(`warning: this is done, but the person was not told: ${messageOf(error)}\n`),
        );
        // What began with the earlier one meanwhile.
        await endAll().catch((error: unknown) => {
          throw new CommandFailure(
            `the authenticator of ${username} is changed, but sessions that began meanwhile may be left (end them: sallyport sessions revoke --user ${username} --all): ${describeStoreFailure(error)}`,
            { cause: error },
          );
        });
        return true;
      } finally {
        if (count > 0) io.out(`${count} ${count === 1 ? 'session' : 'sessions'} of ${username} ended.\n`);
        await tell();
      }
    },
    async close() {
      await opened?.close();
    },
  };
}

const untouched = (username: string, error: unknown): CommandFailure =>
  new CommandFailure(
    `the authenticator of ${username} is unchanged, as what was opened with it cannot be ended: ${describeStoreFailure(error)}`,
    { cause: error },
  );
