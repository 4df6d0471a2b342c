/** What only shows when several sections are seen together. */
import { existsSync } from 'node:fs';
import { findPolicyProblems } from '../decision/check-policy.ts';
import { isNetwork } from '../lib/schema.ts';
import type { Problem } from './problem.ts';
import type { Configuration } from './schema.ts';
import type { Path } from './tree.ts';

export interface Finding {
  readonly path: Path;
  readonly severity: Problem['severity'];
  readonly message: string;
}

type Raw = Readonly<Record<string, unknown>>;

/**
 * Contradictions between sections, and notes on what is read otherwise than it is written. A section that did not parse
 * is absent from `config`, and what depends on it is not judged. `raw` is the configuration as it was written.
 */
export function findContradictions(config: Partial<Configuration>, raw: Raw): Finding[] {
  const unknown = findUnknownNetworks(config);
  return [
    ...unknown,
    ...findUnknownClients(config),
    ...findSessionProblems(config, raw),
    ...findSecondFactorProblems(config),
    ...findMissingFiles(config),
    ...findRuleNotes(config, raw),
    ...(unknown.length > 0 ? [] : findRuleProblems(config)),
  ];
}

function error(path: Path, message: string): Finding {
  return { path, severity: 'error', message };
}

function warning(path: Path, message: string): Finding {
  return { path, severity: 'warning', message };
}

function findUnknownNetworks(config: Partial<Configuration>): Finding[] {
  const { definitions } = config;
  if (definitions === undefined) return [];
  const names = Object.keys(definitions.network);
  const check = (networks: readonly string[], path: Path): Finding[] =>
    networks.flatMap((network, index) => {
      if (isNetwork(network) || names.includes(network)) return [];
      const defined = names.length === 0 ? 'none is defined' : `there are ${names.join(', ')}`;
      return [
        error(
          [...path, index],
          `must be an IP address, a network or a name of definitions.network (${defined}), found "${network}"`,
        ),
      ];
    });
  const policies = Object.entries(config.identity_providers?.oidc?.authorization_policies ?? {});
  return [
    ...(config.access_control?.rules.flatMap((rule, index) =>
      check(rule.networks, ['access_control', 'rules', index, 'networks']),
    ) ?? []),
    ...policies.flatMap(([name, policy]) =>
      policy.rules.flatMap((rule, index) =>
        check(rule.networks, [
          'identity_providers',
          'oidc',
          'authorization_policies',
          name,
          'rules',
          index,
          'networks',
        ]),
      ),
    ),
  ];
}

function findUnknownClients({
  access_control: accessControl,
  identity_providers: providers,
}: Partial<Configuration>): Finding[] {
  const prefix = 'oauth2:client:';
  const known = new Set(providers?.oidc?.clients.map((client) => client.client_id));
  const findings: Finding[] = [];
  accessControl?.rules.forEach((rule, index) =>
    rule.subject.forEach((subjects, position) => {
      for (const subject of subjects) {
        if (!subject.startsWith(prefix) || known.has(subject.slice(prefix.length))) continue;
        const path = ['access_control', 'rules', index, 'subject', position];
        findings.push(
          error(path, `must name a client of identity_providers.oidc.clients, found "${subject}"`),
        );
      }
    }),
  );
  return findings;
}

function findSessionProblems({ session, server }: Partial<Configuration>, raw: Raw): Finding[] {
  if (session === undefined) return [];
  const old = asMap(raw['session']);
  const isShared = session.redis !== undefined || session.postgres !== undefined;
  return [
    ...(server !== undefined && server.workers > 1 && !isShared
      ? [
          error(
            ['server', 'workers'],
            `must be 1 with sessions in ${session.filesystem === undefined ? 'memory' : 'files'}, which belong to one process: set session.redis or session.postgres`,
          ),
        ]
      : []),
    ...('domain' in old
      ? [
          warning(
            ['session', 'domain'],
            'is deprecated: write session.cookies, with the authelia_url of the portal',
          ),
        ]
      : []),
  ];
}

function findSecondFactorProblems(config: Partial<Configuration>): Finding[] {
  const preferred = config.default_2fa_method;
  const isOff =
    (preferred === 'totp' && config.totp?.disable === true) ||
    (preferred === 'webauthn' && config.webauthn?.disable === true) ||
    (preferred === 'mobile_push' && config.duo_api?.disable !== false);
  return isOff
    ? [error(['default_2fa_method'], `must be a method that is enabled, found "${preferred}"`)]
    : [];
}

function findMissingFiles({ server }: Partial<Configuration>): Finding[] {
  if (server === undefined) return [];
  const { certificate, key, client_certificates: clients } = server.tls;
  const files: [Path, string | undefined][] = [
    [['server', 'tls', 'certificate'], certificate],
    [['server', 'tls', 'key'], key],
    ...clients.map((file, index): [Path, string] => [['server', 'tls', 'client_certificates', index], file]),
  ];
  return files.flatMap(([path, file]) =>
    file === undefined || existsSync(file)
      ? []
      : [error(path, `must be a file that exists, found ${JSON.stringify(file)}`)],
  );
}

const criteria = ['subject', 'networks', 'resources', 'methods', 'query'] as const;

function findRuleNotes({ access_control: accessControl }: Partial<Configuration>, raw: Raw): Finding[] {
  if (accessControl === undefined) return [];
  const findings: Finding[] = [];
  if (accessControl.rules.length === 0) {
    findings.push(
      warning(['access_control', 'rules'], `is empty: every site asks for ${accessControl.default_policy}`),
    );
  }
  const written = asMap(raw['access_control'])['rules'];
  asList(written).forEach((rule, index) => {
    const path = ['access_control', 'rules', index];
    for (const key of criteria) {
      const value = asMap(rule)[key];
      if (Array.isArray(value) && value.length === 0)
        findings.push(warning([...path, key], 'is an empty list, which restricts nothing'));
    }
    const outer = asMap(rule)['query'];
    asList(outer).forEach((inner, position) =>
      asList(inner).forEach((query, place) => {
        const operator = asMap(query)['operator'];
        if (typeof operator !== 'string' || operator === operator.toLowerCase()) return;
        const at = [
          ...path,
          'query',
          ...(Array.isArray(outer) ? [position] : []),
          ...(Array.isArray(inner) ? [place] : []),
          'operator',
        ];
        findings.push(
          warning(
            at,
            `is read as "${operator.toLowerCase()}"; write it in lower case, since others drop the whole test otherwise`,
          ),
        );
      }),
    );
  });
  return findings;
}

function findRuleProblems({ access_control: accessControl, definitions }: Partial<Configuration>): Finding[] {
  return accessControl === undefined || definitions === undefined
    ? []
    : findPolicyProblems(accessControl, definitions.network);
}

function asMap(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}
