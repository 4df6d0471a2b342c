import { Command } from 'commander';

import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import { formatProblem, loadConfiguration, resolveSource } from '../config/load.ts';
import { endByPublicId, type SessionView, sessionView } from '../portal/sessions-actions.ts';
import { addConfigOptions, type ConfigOptions } from './config-options.ts';
import { formatTable } from './format-table.ts';
import type { CliIo } from './io.ts';
import {
  describeStoreFailure,
  type OpenSharedSessions,
  openSharedSessions,
  unsharedReason,
} from './shared-sessions.ts';
import { type Revoked, tellRevoked } from './tell-revoked.ts';

/** What the command does to the world. Tests put their own in the place. */
export interface SessionsCommandDeps {
  /** Opens the sessions that the gateways of this configuration share. */
  readonly open: OpenSharedSessions;
  readonly tell: typeof tellRevoked;
}

interface SessionsOptions extends ConfigOptions {
  readonly user: string;
  readonly id?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

interface Task {
  /** What is wrong with the options. */
  readonly check?: (options: SessionsOptions) => string | null;
  /** What was ended, if anything was. */
  readonly run: (sessions: GatewaySessions, options: SessionsOptions, io: CliIo) => Promise<Revoked | void>;
}

/** `sallyport sessions`: who is signed in where, and an end to it, beside the running gateways and through their store. */
export function sessionsCommand(
  io: CliIo,
  deps: SessionsCommandDeps = { open: openSharedSessions, tell: tellRevoked },
): Command {
  const sub = (name: string, description: string, task: Task): Command =>
    addConfigOptions(new Command(name).description(description))
      .requiredOption('--user <name>', 'whose sessions; the name as the user backend spells it')
      .option('--json', 'print JSON')
      .action((options: SessionsOptions) => perform(task, options, io, deps));
  return new Command('sessions')
    .description('list and end the sessions that gateways share over Redis or PostgreSQL')
    .addCommand(sub('list', 'list the sessions of a person', list))
    .addCommand(
      sub('show', 'show one session of a person', show).requiredOption('--id <id>', 'the id from the list'),
    )
    .addCommand(
      sub('revoke', 'end one session of a person, or all', revoke)
        .option('--id <id>', 'the id from the list')
        .option('--all', 'all sessions of the person'),
    );
}

async function perform(
  { check, run }: Task,
  options: SessionsOptions,
  io: CliIo,
  { open, tell }: SessionsCommandDeps,
): Promise<void> {
  const fail = (message: string): void => {
    io.err(`sallyport: ${message}\n`);
    io.exit(1);
  };
  const fault = check?.(options) ?? null;
  if (fault !== null) return fail(fault);
  const { config, problems } = loadConfiguration(resolveSource(options, io.environment));
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`);
  if (config === null) return io.exit(1);
  const unshared = unsharedReason(config);
  if (unshared !== null) return fail(unshared);
  let sessions: GatewaySessions | undefined;
  let failure: string | null = null;
  try {
    sessions = await open(config, io);
    const revoked = await run(sessions, options, io);
    if (revoked) await tell(revoked, config, io);
  } catch (error) {
    failure = describeStoreFailure(error);
  } finally {
    await sessions?.close();
  }
  if (failure !== null) fail(failure);
}

const list: Task = {
  async run(sessions, { user, json }, io) {
    const views = (await sessions.listOf(user)).map((session) => sessionView(session));
    if (json) return io.out(formatJson(views));
    if (views.length === 0) return io.out(`${user} has no sessions.\n`);
    io.out(
      formatTable([
        ['id', 'device', 'address', 'sites', 'signed in', 'last active', 'ends', 'remembered'],
        ...views.map((view) => [
          view.id,
          view.device.summary,
          view.device.ip,
          view.cookie_domain,
          ...[view.created_at, view.last_active_at, view.expires_at].map(toSeconds),
          view.remembered ? 'yes' : 'no',
        ]),
      ]),
    );
  },
};

const show: Task = {
  async run(sessions, { user, id = '', json }, io) {
    const session = (await sessions.listOf(user)).find(({ publicId }) => publicId === id);
    if (!session) throw new Failure(noSession(user, id));
    const view = { user: session.userId, ...sessionView(session) };
    io.out(json ? formatJson(view) : formatTable(factsOf(session, view)));
  },
};

const revoke: Task = {
  check: ({ id, all = false }) =>
    (id === undefined) === all ? null : 'sessions revoke takes either --id <id> or --all',
  async run(sessions, { user, id, json }, io) {
    // Afterwards nobody knows whom to tell. What cannot be read can still be ended.
    const before = await sessions.listOf(user).catch(() => []);
    if (id !== undefined && !(await endByPublicId(sessions, user, id)))
      throw new Failure(noSession(user, id));
    const count = id === undefined ? await sessions.endAllOf(user, 'revoked') : 1;
    io.out(
      json
        ? formatJson({ ended: count })
        : `${count} ${count === 1 ? 'session' : 'sessions'} of ${user} ended.\n`,
    );
    const ended = before.filter(({ publicId }) => id === undefined || publicId === id);
    return { username: user, count, ended: ended.map(({ publicId }) => publicId), example: ended[0] ?? null };
  },
};

function factsOf(session: GatewaySession, view: SessionView): readonly (readonly [string, string])[] {
  return [
    ['id', view.id],
    ['user', session.userId],
    ['device', view.device.summary],
    ['user agent', view.device.user_agent],
    ['address', view.device.ip],
    ['sites', view.cookie_domain],
    ['signed in', toSeconds(view.created_at)],
    ['last active', toSeconds(view.last_active_at)],
    ['ends', toSeconds(view.expires_at)],
    ['remembered', view.remembered ? 'yes' : 'no'],
    ['factors', session.payload.factors.map(({ method }) => method).join(', ')],
  ];
}

/** What went wrong, for people. */
class Failure extends Error {
  override name = 'Failure';
}

function noSession(user: string, id: string): string {
  return `${user} has no session ${id}; see "sallyport sessions list --user ${user}"`;
}

function toSeconds(timestamp: string): string {
  return timestamp.replace(/\.\d+Z$/, 'Z');
}

function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
