import type { Page, PasswordRequirement } from '../../../src/portal/page-data.ts';

const elevation: Page = {
  page: 'elevation',
  displayName: 'John Doe',
  username: 'john',
  back: 'password',
  going: {},
  address: 'j**n@example.com',
  sent: null,
  secondFactor: null,
  needsSecondFactor: false,
  error: null,
};

const requirements: readonly PasswordRequirement[] = [
  { rule: 'min_length', count: 10, isBroken: true },
  { rule: 'require_number', count: 1, isBroken: false },
];
const password: Page = {
  page: 'password',
  username: 'john',
  requirements,
  isDone: false,
  error: null,
  reason: null,
};
const reset: Page = {
  page: 'reset',
  state: 'form',
  token: 'a-token-of-a-link',
  requirements: [],
  error: null,
  reason: null,
};
const revoke: Page = {
  page: 'revoke',
  what: 'link',
  state: 'ask',
  action: '/form/revoke/reset-password',
  value: 'x',
};

/** Elevation and passwords, one of each variant. */
export const accountPages: Readonly<Record<string, Page>> = {
  elevation,
  'elevation, code sent': { ...elevation, sent: 'now' },
  'elevation, mail server down': { ...elevation, sent: 'later', error: 'code' },
  'elevation, second factor or code': { ...elevation, secondFactor: 'totp' },
  'elevation, second factor first': {
    ...elevation,
    secondFactor: 'recovery-code',
    needsSecondFactor: true,
    error: 'second-factor',
  },
  'elevation, no address': { ...elevation, address: null },
  password,
  'password, weak': { ...password, error: 'weak' },
  'password, refused': { ...password, error: 'refused', reason: 'It was used before.' },
  'password, old one wrong': { ...password, error: 'wrong', requirements: [] },
  'password, done': { ...password, isDone: true },
  'reset, start': { page: 'reset-start', isDone: false, error: null },
  'reset, start without a name': { page: 'reset-start', isDone: false, error: 'missing' },
  'reset, asked for': { page: 'reset-start', isDone: true, error: null },
  reset,
  'reset, weak': { ...reset, requirements, error: 'weak' },
  'reset, gone': { ...reset, state: 'gone' },
  'reset, done': { ...reset, state: 'done' },
  revoke,
  'revoke, done': { ...revoke, state: 'done' },
  'revoke, code gone': { ...revoke, what: 'code', state: 'gone' },
};
