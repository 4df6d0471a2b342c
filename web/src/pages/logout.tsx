import type { JSX } from 'preact';
import type { LogoutPage } from '../../../src/portal/page-data.ts';
import { Account, ActionButton } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

export function LogoutView({ page, base, t }: ViewProps<LogoutPage>): JSX.Element {
  return (
    <>
      <h1>{t.text('logout.heading')}</h1>
      <Account displayName={page.displayName} username="" t={t} />
      <p>{t.text('logout.text')}</p>
      <ActionButton action={page.action} tone="primary">
        {t.text('account.sign-out')}
      </ActionButton>
      <a class="button button-quiet" href={base}>
        {t.text('logout.stay')}
      </a>
    </>
  );
}
