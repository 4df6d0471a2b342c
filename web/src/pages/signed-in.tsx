import type { JSX } from 'preact';
import type { SignedInPage } from '../../../src/portal/page-data.ts';
import { Account, ActionButton, Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

export function SignedInView({ page, base, t }: ViewProps<SignedInPage>): JSX.Element {
  return (
    <>
      <h1>{t.text('signed-in.heading')}</h1>
      {page.error !== null && <Note tone="error">{t.text(`error.${page.error}`)}</Note>}
      <Account displayName={page.displayName} username={page.username} t={t} />
      {page.target === null ? (
        <p>{t.text('signed-in.next')}</p>
      ) : (
        <a class="button button-primary" href={page.target.url}>
          <span>{t.rich('signed-in.continue', { site: <bdi>{page.target.site}</bdi> })}</span>
        </a>
      )}
      {page.secondFactor !== null && (
        <a class="button button-quiet" href={page.secondFactor}>
          {t.text('signed-in.second-factor')}
        </a>
      )}
      <a class="button button-quiet" href={`${base}settings/security`}>
        {t.text('signed-in.security')}
      </a>
      <ActionButton action={`${base}form/logout`} tone="quiet">
        {t.text('account.sign-out')}
      </ActionButton>
    </>
  );
}
