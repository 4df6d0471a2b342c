/** What only shows when several sections are seen together. */
import type { Configuration } from './schema.ts';
import { isNetwork } from '../lib/schema.ts';
import type { Path } from './tree.ts';

export interface Finding {
  readonly path: Path;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

/**
 * Contradictions between sections, and notes on what is read otherwise than it is written. A section that did not parse
 * is absent, and what depends on it is not judged. `raw` is the configuration as it was written.
 */
export function findContradictions(config: Partial<Configuration>, raw: Readonly<Record<string, unknown>>): Finding[] {
  return [...findUnknownNetworks(config)];
}

function findUnknownNetworks({ access_control: accessControl, definitions }: Partial<Configuration>): Finding[] {
  const findings: Finding[] = [];
  accessControl?.rules.forEach((rule, index) => {
    rule.networks.forEach((name, position) => {
      if (definitions === undefined || isNetwork(name) || Object.hasOwn(definitions.network, name)) return;
      findings.push({
        path: ['access_control', 'rules', index, 'networks', position],
        severity: 'error',
        message: `must be an IP address, a network or a name of definitions.network, found "${name}"`,
      });
    });
  });
  return findings;
}
