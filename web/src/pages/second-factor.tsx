import type { JSX } from 'preact';
import type { SecondFactorPage } from '../../../src/portal/page-data.ts';
import { Account, ActionButton, SiteName } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

export function SecondFactorView({ page, base, t }: ViewProps<SecondFactorPage>): JSX.Element {
  const { target } = page;
  return (
    <>
      <h1>{t.text('second-factor.heading')}</h1>
      <p>
        {target === null
          ? t.text('second-factor.page')
          : t.rich('second-factor.site', { site: <SiteName site={target.site} /> })}
      </p>
      <p>{t.text('second-factor.none')}</p>
      <Account displayName={page.displayName} username={page.username} t={t} />
      {target !== null && (
        <ActionButton action={`${base}form/logout?${new URLSearchParams({ rd: target.url })}`} tone="quiet">
          {t.text('second-factor.switch')}
        </ActionButton>
      )}
      <ActionButton action={`${base}form/logout`} tone="quiet">
        {t.text('account.sign-out')}
      </ActionButton>
    </>
  );
}
