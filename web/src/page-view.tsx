import type { JSX } from 'preact';
import type { PageData } from '../../src/portal/page-data.ts';
import { ElevationView } from './pages/elevation.tsx';
import { LoginView } from './pages/login.tsx';
import { LogoutView } from './pages/logout.tsx';
import { PasswordAgainView } from './pages/password-again.tsx';
import { PasswordView } from './pages/password.tsx';
import { ProblemView } from './pages/problem.tsx';
import { RecoveryCodesView } from './pages/recovery-codes.tsx';
import { ResetStartView, ResetView } from './pages/reset.tsx';
import { RevokeView } from './pages/revoke.tsx';
import { SecondFactorView } from './pages/second-factor.tsx';
import { SecurityView } from './pages/security.tsx';
import { SessionsView } from './pages/sessions.tsx';
import { SignedInView } from './pages/signed-in.tsx';
import { TotpView } from './pages/totp.tsx';
import { createTranslate } from './translate.ts';

/** What stands inside of `<main>`: the same on the server and in the browser. */
export function PageView({ data }: { readonly data: PageData }): JSX.Element {
  const { page, base } = data;
  const t = createTranslate(data);
  switch (page.page) {
    case 'login':
      return <LoginView page={page} base={base} t={t} />;
    case 'signed-in':
      return <SignedInView page={page} base={base} t={t} />;
    case 'second-factor':
      return <SecondFactorView page={page} base={base} t={t} />;
    case 'password-again':
      return <PasswordAgainView page={page} base={base} t={t} />;
    case 'security':
      return <SecurityView page={page} base={base} t={t} />;
    case 'totp':
      return <TotpView page={page} base={base} t={t} />;
    case 'recovery-codes':
      return <RecoveryCodesView page={page} base={base} t={t} />;
    case 'logout':
      return <LogoutView page={page} base={base} t={t} />;
    case 'sessions':
      return <SessionsView page={page} base={base} t={t} />;
    case 'elevation':
      return <ElevationView page={page} base={base} t={t} />;
    case 'password':
      return <PasswordView page={page} base={base} t={t} />;
    case 'reset-start':
      return <ResetStartView page={page} base={base} t={t} />;
    case 'reset':
      return <ResetView page={page} base={base} t={t} />;
    case 'revoke':
      return <RevokeView page={page} base={base} t={t} />;
    case 'problem':
      return <ProblemView page={page} base={base} t={t} />;
  }
}
