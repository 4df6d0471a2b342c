/** Access control of the sizes that are compared. In each, what is asked about is let in by the last rule. */
import { HOSTS } from './requests.ts';

type Rule = Readonly<Record<string, unknown>>;

export const hostOf = (index: number): string => `app${index % HOSTS}.example.com`;
/** Another host for each session. */
export const ownHostOf = (index: number): string => `host${index}.example.com`;
export const DENIED_HOST = 'denied.example.com';

const everybody: Rule = { domain: '*.example.com', policy: 'one_factor', subject: 'group:users' };

/** Rules of every kind, spread over the hosts, of which none fits what is asked. */
function mixed(count: number): readonly Rule[] {
  const kinds: readonly ((index: number) => Rule)[] = [
    (index) => ({ resources: `^/api/v${index}/.*$`, policy: 'bypass' }),
    (index) => ({ networks: `10.${index % 250}.0.0/16`, policy: 'bypass' }),
    () => ({ methods: ['POST', 'DELETE'], policy: 'two_factor' }),
    (index) => ({ subject: `group:team${index}-administrators`, policy: 'one_factor' }),
    (index) => ({ resources: `^/(static|assets)/release-${index}/[^/]+$`, policy: 'bypass' }),
  ];
  return Array.from({ length: count }, (_, index) => ({
    domain: hostOf(index),
    ...kinds[Math.floor(index / 3) % kinds.length]?.(index),
  }));
}

export const fiftyRules: readonly Rule[] = [{ domain: DENIED_HOST, policy: 'deny' }, ...mixed(48), everybody];

/** 999 rules of all kinds on fifty hosts, and the one that fits. */
export const manyRules: readonly Rule[] = [...mixed(999), everybody];

/** A thousand hosts with one rule each, all of them asked for. */
export const manyHosts: readonly Rule[] = Array.from({ length: 1000 }, (_, index) => ({
  domain: ownHostOf(index),
  policy: 'one_factor',
}));

/** 999 paths on one host, and the rule that fits. */
export const onOneHost: readonly Rule[] = [
  ...Array.from({ length: 999 }, (_, index) => ({
    domain: hostOf(0),
    resources: `^/area-${index}/[a-z]+([/?].*)?$`,
    policy: 'bypass',
  })),
  everybody,
];
