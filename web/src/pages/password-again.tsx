import type { JSX } from 'preact';
import type { PasswordAgainPage } from '../../../src/portal/page-data.ts';
import { Account, ActionButton, Note, SiteName } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

/** The password once more. The name stands in the form for password managers. */
export function PasswordAgainView({ page, base, t }: ViewProps<PasswordAgainPage>): JSX.Element {
  const { target, error } = page;
  return (
    <>
      <h1>{t.text('password-again.heading')}</h1>
      {target !== null && <p>{t.rich('password-again.site', { site: <SiteName site={target.site} /> })}</p>}
      {error !== null && (
        <div id="form-error">
          <Note tone="error">{t.text(`password-again.error.${error}`)}</Note>
        </div>
      )}
      <Account displayName={page.displayName} username={page.username} t={t} />
      <form method="post" action={page.action}>
        <input type="text" name="username" value={page.username} autocomplete="username" hidden readOnly />
        <div class="field">
          <label for="password">{t.text('login.password')}</label>
          <input
            id="password"
            name="password"
            type="password"
            autocomplete="current-password"
            required
            autofocus
            {...(error !== null && { 'aria-invalid': 'true' as const, 'aria-describedby': 'form-error' })}
          />
        </div>
        <button type="submit" class="button button-primary">
          {t.text('password-again.submit')}
        </button>
      </form>
      <ActionButton action={`${base}form/logout`} tone="quiet">
        {t.text('account.sign-out')}
      </ActionButton>
    </>
  );
}
