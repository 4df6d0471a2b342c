import type { JSX } from 'preact';
import type { PasswordPage } from '../../../src/portal/page-data.ts';
import { Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';
import { describedBy, PasswordComplaint, PasswordField, Requirements } from '../password-field.tsx';

export function PasswordView({ page, base, t }: ViewProps<PasswordPage>): JSX.Element {
  const { error, requirements } = page;
  const isOld = error === 'wrong';
  if (page.isDone && error === null) {
    return (
      <>
        <h1>{t.text('password.done')}</h1>
        <Note tone="calm">{t.text('password.done.text')}</Note>
        <a class="button button-primary" href={base}>
          {t.text('password.back')}
        </a>
      </>
    );
  }
  return (
    <>
      <h1>{t.text('password.heading')}</h1>
      <PasswordComplaint error={error} reason={page.reason} t={t} />
      <p>{t.text('password.text')}</p>
      <form method="post" action={`${base}form/password`}>
        <input type="text" name="username" value={page.username} autocomplete="username" readonly hidden />
        <PasswordField
          name="old"
          label={t.text('password.old')}
          autocomplete="current-password"
          autofocus={error === null || isOld}
          invalid={isOld}
          describedBy={isOld ? 'form-error' : undefined}
          t={t}
        />
        <PasswordField
          name="new"
          label={t.text('password.new')}
          autocomplete="new-password"
          autofocus={error !== null && !isOld}
          invalid={error !== null && !isOld}
          describedBy={describedBy(isOld ? null : error, requirements)}
          t={t}
        />
        <Requirements requirements={requirements} t={t} />
        <button type="submit" class="button button-primary">
          {t.text('password.submit')}
        </button>
      </form>
      <a class="button button-quiet" href={base}>
        {t.text('password.cancel')}
      </a>
    </>
  );
}
