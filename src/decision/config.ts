import { nearestWord } from '../lib/nearest-word.ts';
import { compileRegex } from '../lib/regex.ts';
import {
  choice,
  describe,
  duration,
  isNetwork,
  list,
  named,
  network,
  scalar,
  section,
  text,
  unique,
  words,
} from '../lib/schema.ts';

const policies = ['bypass', 'one_factor', 'two_factor', 'deny'] as const;
const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'TRACE',
  'CONNECT',
  'OPTIONS',
  'COPY',
  'LOCK',
  'MKCOL',
  'MOVE',
  'PROPFIND',
  'PROPPATCH',
  'UNLOCK',
] as const;
const operators = ['equal', 'not equal', 'present', 'absent', 'pattern', 'not pattern'] as const;
const string = { type: 'string' } as const;
const networkName = /^[a-zA-Z0-9/_.:~-]+$/;

function textOnly(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`must be ${what}`);
  return value;
}

/** A host as rules name it, in lower case. A placeholder works only at the start of the name. */
const domain = scalar({ name: 'host pattern', json: string }, (value) => {
  const host = textOnly(value, 'a host such as app.example.com or *.example.com');
  if (host.includes(','))
    throw new Error(
      `must be one host; write several as a list: [${host
        .split(',')
        .map((part) => part.trim())
        .join(', ')}]`,
    );
  if (host === '{user}' || host === '{group}')
    throw new Error(`must continue after the placeholder, such as ${host}.example.com`);
  if (host.startsWith('{group}') && !host.startsWith('{group}.')) {
    throw new Error('must have the placeholder {group} as a whole label, such as {group}.example.com');
  }
  return host.toLowerCase();
});

const regex = scalar(
  { name: 'regular expression (RE2)', json: { type: 'string', format: 'regex' } },
  (value) => {
    const source = textOnly(value, 'a regular expression');
    try {
      compileRegex(source);
    } catch (error) {
      throw new Error(
        `must be a regular expression in RE2 syntax (${error instanceof Error ? error.message : 'cannot be read'})`,
        { cause: error },
      );
    }
    return source;
  },
);

const networkOrName = scalar({ name: 'network or its name', json: string }, (value) => {
  const given = textOnly(value, 'an IP address, a network or the name of a definition');
  if (given.includes(',')) throw new Error('must be one network; write several as a list');
  if (!isNetwork(given) && !networkName.test(given))
    throw new Error('must be an IP address, a network or a name of definitions.network');
  return given;
});

const method = scalar({ name: 'HTTP method', json: { enum: methods } }, (value): string => {
  const given = textOnly(value, `one of ${methods.join(', ')}`);
  if (methods.includes(given as (typeof methods)[number])) return given;
  if (given.includes(',')) throw new Error('must be one method; write several as a list');
  const near = nearestWord(given, methods);
  throw new Error(`must be one of ${methods.join(', ')}${near === null ? '' : ` (did you mean "${near}"?)`}`);
});

const subjectPattern = /^(?:user:|group:|oauth2:client:)/;

/** Conditions of which all must hold. Between text, a comma joins them too. */
const subjects = scalar(
  {
    name: 'subject, or list of subjects that must all hold',
    json: { anyOf: [string, { type: 'array', items: string }] },
  },
  (value): string[] => {
    const parts = Array.isArray(value)
      ? value
      : typeof value === 'string'
        ? value.split(',').map((part) => part.trim())
        : [value];
    if (parts.length === 0) throw new Error('must name at least one subject');
    return parts.map((part: unknown) => {
      if (typeof part !== 'string' || !subjectPattern.test(part)) {
        const near =
          typeof part === 'string'
            ? nearestWord(part.split(':')[0] ?? '', ['user', 'group', 'oauth2:client'])
            : null;
        const hint = near === null ? '' : ` (did you mean "${near}:…"?)`;
        throw new Error(
          `must be user:<name>, group:<name> or oauth2:client:<id>${hint}${Array.isArray(value) ? ` in every item, and one is ${describe(part)}` : ''}`,
        );
      }
      return part;
    });
  },
);

const querySchema = section({
  operator: scalar(
    { name: operators.map((one) => `\`${one}\``).join(', '), json: { enum: operators } },
    (value) => {
      const found = operators.find((one) => typeof value === 'string' && one === value.toLowerCase());
      if (found !== undefined) return found;
      const near = typeof value === 'string' ? nearestWord(value, operators) : null;
      throw new Error(
        `must be one of ${operators.join(', ')}${near === null ? '' : ` (did you mean "${near}"?)`}`,
      );
    },
  )
    .optional()
    .describe('Default `equal` with a value, else `present`.'),
  key: text().describe('Name of the parameter, letter case included.'),
  value: scalar({ name: 'text', json: string }, (value) => {
    if (typeof value !== 'string') throw new Error('must be text (put it in quotes)');
    return value;
  })
    .optional()
    .describe('Value, or regular expression for the pattern operators.'),
})
  .superRefine((query, context) => {
    const problem = (message: string): void => context.addIssue({ code: 'custom', path: ['value'], message });
    const { operator, value } = query;
    if (operator === 'present' || operator === 'absent') {
      if (value) problem(`must not be set with the operator ${operator}`);
    } else if (operator !== undefined && value === undefined) {
      problem(`is required with the operator ${operator}`);
    } else if ((operator === 'pattern' || operator === 'not pattern') && value !== undefined) {
      try {
        compileRegex(value);
      } catch (error) {
        problem(
          `must be a regular expression in RE2 syntax (${error instanceof Error ? error.message : 'cannot be read'}), found ${describe(value)}`,
        );
      }
    }
  })
  .transform(({ operator, key, value }): QueryCriterion => {
    if (operator === 'present' || operator === 'absent') return { operator, key };
    if (operator === undefined && !value) return { operator: 'present', key };
    return { operator: operator ?? 'equal', key, ...(value === undefined ? {} : { value }) };
  });

/** One condition on a query parameter. */
export interface QueryCriterion {
  readonly operator: (typeof operators)[number];
  readonly key: string;
  readonly value?: string;
}

const ruleSchema = section({
  domain: list(domain)
    .prefault([])
    .describe(
      'Hosts: `app.example.com`, `*.example.com`, `{user}.example.com`, `{group}.example.com`. Either this or `domain_regex` is required.',
    ),
  domain_regex: list(regex)
    .prefault([])
    .describe('Hosts by regular expression; the groups `User` and `Group` must be those of the person.'),
  policy: choice(...policies).describe('What is asked of the visitor.'),
  subject: list(subjects)
    .prefault([])
    .describe(
      'Who: a list of which one must hold; an inner list (or a comma) joins what must hold together.',
    ),
  networks: list(networkOrName)
    .prefault([])
    .describe('Where from: IP addresses, networks or names of `definitions.network`.'),
  resources: list(regex)
    .prefault([])
    .describe('Paths with their query, by regular expression; write `^` and `$`.'),
  methods: unique(method).prefault([]).describe('Methods of the request.'),
  query: list(list(querySchema))
    .prefault([])
    .describe(
      'Query parameters: a list of which one must hold; an inner list joins what must hold together.',
    ),
  factors: words('password', 'totp')
    .prefault([])
    .describe(
      'Factors of which one must have been used in this session; with `totp`, a recovery code will not do.',
    ),
  max_age: duration()
    .optional()
    .describe(
      'How long ago the person may have proven himself: one of `factors`, else the second factor with `two_factor`, else any. Who did so longer ago is asked again, and comes back to the page.',
    ),
}).superRefine((rule, context) => {
  const problem = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  if (rule.domain.length === 0 && rule.domain_regex.length === 0)
    problem(['domain'], 'is required (or domain_regex): a rule must say for which hosts it is');
  if (!rule.policy.endsWith('_factor')) {
    const why = rule.policy === 'bypass' ? 'which asks nobody who they are' : 'which lets nobody in';
    if (rule.factors.length > 0)
      problem(
        ['factors'],
        `must not be set with policy ${rule.policy}, ${why}: use one_factor or two_factor`,
      );
    if (rule.max_age !== undefined)
      problem(
        ['max_age'],
        `must not be set with policy ${rule.policy}, ${why}: use one_factor or two_factor`,
      );
  }
  if (rule.max_age === 0) problem(['max_age'], 'must be longer than 0: nothing could ever be that fresh');
  if (rule.policy !== 'bypass') return;
  if (rule.subject.length > 0)
    problem(['policy'], 'must not be bypass with a subject: bypass asks nobody who they are; use one_factor');
  rule.domain_regex.forEach((source, index) => {
    if (/\(\?P?<(?:User|Group)>/.test(source)) {
      problem(
        ['domain_regex', index],
        'must not name the groups User or Group with policy bypass, which asks nobody who they are',
      );
    }
  });
});

/** `access_control` */
export const accessControlSchema = section({
  default_policy: choice(...policies)
    .prefault('deny')
    .describe('Policy where no rule fits.'),
  rules: list(ruleSchema)
    .prefault([])
    .describe(
      'Rules; the first that fits decides. Must not be empty unless the default policy is one_factor or two_factor.',
    ),
}).superRefine((accessControl, context) => {
  if (accessControl.rules.length > 0 || accessControl.default_policy.endsWith('_factor')) return;
  const only = accessControl.default_policy === 'deny' ? 'refuses everybody' : 'protects nothing';
  context.addIssue({
    code: 'custom',
    path: ['rules'],
    message: `is required: without rules the default policy ${accessControl.default_policy} ${only}; write rules, or default_policy one_factor or two_factor`,
  });
});

/** `definitions` */
export const definitionsSchema = section({
  network: named(
    list(network()).superRefine((networks, context) => {
      if (networks.length === 0)
        context.addIssue({ code: 'custom', path: [], message: 'must name at least one network' });
    }),
    networkName,
    'must have only letters, digits and / _ . : ~ -',
  )
    .prefault({})
    .describe('Networks by name, for rules.'),
  user_attributes: named(
    section({ expression: text().describe('Expression in CEL over what is known of a person.') }),
  )
    .prefault({})
    .describe('Attributes that are computed for each person.'),
});
