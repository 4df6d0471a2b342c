import type { JSX } from 'preact';
import type { ResetPage, ResetStartPage } from '../../../src/portal/page-data.ts';
import { Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';
import { describedBy, PasswordComplaint, PasswordField, Requirements } from '../password-field.tsx';

export function ResetStartView({ page, base, t }: ViewProps<ResetStartPage>): JSX.Element {
  if (page.isDone) {
    return (
      <>
        <h1>{t.text('reset-start.done')}</h1>
        <p>{t.text('reset-start.done.text')}</p>
        <a class="button button-primary" href={base}>
          {t.text('reset.sign-in')}
        </a>
      </>
    );
  }
  const invalid = page.error !== null;
  return (
    <>
      <h1>{t.text('reset-start.heading')}</h1>
      <p>{t.text('reset-start.text')}</p>
      <form method="post" action={`${base}form/reset-password/start`}>
        <div class="field">
          <label for="username">{t.text('login.username')}</label>
          <input
            id="username"
            name="username"
            type="text"
            autocomplete="username"
            autocapitalize="none"
            autocorrect="off"
            spellcheck={false}
            required
            autofocus
            {...(invalid && { 'aria-invalid': 'true' as const, 'aria-describedby': 'username-missing' })}
          />
          {invalid && (
            <p class="field-error" id="username-missing">
              {t.text('login.username.missing')}
            </p>
          )}
        </div>
        <button type="submit" class="button button-primary">
          {t.text('reset-start.submit')}
        </button>
      </form>
      <a class="button button-quiet" href={base}>
        {t.text('reset.sign-in')}
      </a>
    </>
  );
}

export function ResetView({ page, base, t }: ViewProps<ResetPage>): JSX.Element {
  const { state, token, requirements, error } = page;
  if (state === 'done') {
    return (
      <>
        <h1>{t.text('reset.done')}</h1>
        <Note tone="calm">{t.text('reset.done.text')}</Note>
        <a class="button button-primary" href={base}>
          {t.text('reset.sign-in')}
        </a>
      </>
    );
  }
  if (state === 'gone') {
    return (
      <>
        <h1>{t.text('reset.gone')}</h1>
        <p>{t.text('reset.gone.text')}</p>
        <a class="button button-primary" href={`${base}reset-password/step1`}>
          {t.text('reset.again')}
        </a>
        <a class="button button-quiet" href={base}>
          {t.text('reset.sign-in')}
        </a>
      </>
    );
  }
  return (
    <>
      <h1>{t.text('reset.heading')}</h1>
      <PasswordComplaint error={error} reason={page.reason} t={t} />
      <p>{t.text('reset.text')}</p>
      <form method="post" action={`${base}form/reset-password`}>
        {token !== '' && <input type="hidden" name="token" value={token} />}
        <PasswordField
          name="new"
          label={t.text('password.new')}
          autocomplete="new-password"
          autofocus
          invalid={error !== null}
          describedBy={describedBy(error, requirements)}
          t={t}
        />
        <Requirements requirements={requirements} t={t} />
        <button type="submit" class="button button-primary">
          {t.text('password.submit')}
        </button>
      </form>
    </>
  );
}
