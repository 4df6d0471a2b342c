import type {
  Page,
  PageTarget,
  RecoveryCodesPage,
  SecondFactorPage,
  SecurityPage,
  TotpPage,
} from '../../../src/portal/page-data.ts';
import { createQrCode } from '../../../src/lib/qr-code.ts';

const SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
const URL = `otpauth://totp/Example:john?issuer=Example&secret=${SECRET}`;

/** The pages of second factors, in each of their states. */
export function factorPages(target: PageTarget, noon: number): Readonly<Record<string, Page>> {
  const query = '?rd=https%3A%2F%2Fone.example.com%2F&rm=GET';
  const secondFactor: SecondFactorPage = {
    page: 'second-factor',
    displayName: 'John Doe',
    username: 'john',
    target,
    isAgain: false,
    form: {
      method: 'totp',
      action: `/form/2fa/one-time-password${query}`,
      others: [{ method: 'recovery-code', href: `/2fa/recovery-code${query}` }],
    },
    enrol: null,
    error: null,
  };
  const security: SecurityPage = {
    page: 'security',
    now: noon,
    displayName: 'John Doe',
    username: 'john',
    totp: null,
    canAddTotp: true,
    recoveryCodes: 0,
    canChangePassword: true,
    done: null,
    error: null,
  };
  const totp: TotpPage = {
    page: 'totp',
    going: {},
    enrolment: null,
    isReplacing: false,
    choices: [],
    error: null,
  };
  const { size, path } = createQrCode(URL);
  const enrolment: TotpPage['enrolment'] = {
    url: URL,
    secret: SECRET.replaceAll(/.{4}(?!$)/g, '$& '),
    qrCode: { size, path },
    algorithm: 'SHA1',
    digits: 6,
    period: 30,
  };
  const recoveryCodes: RecoveryCodesPage = { page: 'recovery-codes', codes: null, left: 0, canMake: true };
  const codes = Array.from({ length: 10 }, (_, i) => `AB${i}D-EFGH-JKMN-PQRS`);
  const had = { createdAt: noon - 90 * 86_400_000, lastUsedAt: noon - 3_600_000 };
  return {
    'second-factor': secondFactor,
    'second-factor, wrong code': { ...secondFactor, error: 'code' },
    'second-factor, again': { ...secondFactor, isAgain: true, target: null },
    'second-factor, recovery code': {
      ...secondFactor,
      form: { method: 'recovery-code', action: '/form/2fa/recovery-code', others: [] },
    },
    'second-factor, none yet': { ...secondFactor, form: null, enrol: `/settings/totp${query}` },
    'second-factor, none here': { ...secondFactor, form: null },
    'password-again': {
      page: 'password-again',
      displayName: 'John Doe',
      username: 'john',
      target,
      action: `/form/reauthenticate${query}`,
      error: 'credentials',
    },
    security,
    'security, switched off': { ...security, canAddTotp: false, canChangePassword: false },
    'security, authenticator added': { ...security, totp: { ...had, lastUsedAt: null }, done: 'totp-added' },
    'security, with everything': { ...security, totp: had, recoveryCodes: 8 },
    'security, one code left': { ...security, totp: had, recoveryCodes: 1, error: 'gone' },
    totp,
    'totp, choices': {
      ...totp,
      isReplacing: true,
      choices: [{ name: 'algorithm', options: ['SHA1', 'SHA256'], chosen: 'SHA1' }],
    },
    'totp, QR code': { ...totp, enrolment, going: { rd: target.url, rm: 'GET' } },
    'totp, wrong code': { ...totp, enrolment, error: 'code' },
    'recovery-codes': recoveryCodes,
    'recovery-codes, some left': { ...recoveryCodes, left: 3 },
    'recovery-codes, no factor': { ...recoveryCodes, canMake: false },
    'recovery-codes, made': { ...recoveryCodes, codes, left: 10 },
  };
}
