import type { JSX } from 'preact';
import type { SecondFactorPage } from '../../../src/portal/page-data.ts';
import { Account, ActionButton, Note, SiteName } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

export function SecondFactorView({ page, base, t }: ViewProps<SecondFactorPage>): JSX.Element {
  const { target, form, enrol, error } = page;
  const again = page.isAgain ? '.again' : '';
  return (
    <>
      <h1>{t.text(`second-factor.heading${again}`)}</h1>
      {target !== null && (
        <p>{t.rich(`second-factor.site${again}`, { site: <SiteName site={target.site} /> })}</p>
      )}
      {error !== null && (
        <div id="form-error">
          <Note tone="error">{t.text(`second-factor.error.${error}`)}</Note>
        </div>
      )}
      {form === null ? <Missing enrol={enrol} t={t} /> : <CodeForm form={form} error={error} t={t} />}
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

function CodeForm({
  form: { method, action, others },
  error,
  t,
}: Pick<ViewProps<SecondFactorPage>, 't'> & {
  readonly form: NonNullable<SecondFactorPage['form']>;
  readonly error: SecondFactorPage['error'];
}): JSX.Element {
  const hint = method === 'recovery-code' ? 'code-hint' : undefined;
  const described = [error === null ? undefined : 'form-error', hint].filter(Boolean).join(' ');
  return (
    <>
      <form method="post" action={action}>
        <div class="field">
          <label for="code">{t.text(`second-factor.${method}`)}</label>
          <input
            id="code"
            name="code"
            type="text"
            {...(method === 'totp' && { inputMode: 'numeric' as const })}
            autocomplete={method === 'totp' ? 'one-time-code' : 'off'}
            autocapitalize="none"
            autocorrect="off"
            spellcheck={false}
            required
            autofocus
            {...(error !== null && { 'aria-invalid': 'true' as const })}
            {...(described !== '' && { 'aria-describedby': described })}
          />
          {hint !== undefined && (
            <p class="hint" id={hint}>
              {t.text('second-factor.recovery-code.hint')}
            </p>
          )}
        </div>
        <button type="submit" class="button button-primary">
          {t.text('second-factor.submit')}
        </button>
      </form>
      {others.map((other) => (
        <a key={other.method} class="button button-quiet" href={other.href}>
          {t.text(`second-factor.use.${other.method}`)}
        </a>
      ))}
    </>
  );
}

function Missing({
  enrol,
  t,
}: Pick<ViewProps<SecondFactorPage>, 't'> & Pick<SecondFactorPage, 'enrol'>): JSX.Element {
  if (enrol === null) return <p>{t.text('second-factor.none')}</p>;
  return (
    <>
      <p>{t.text('second-factor.enrol')}</p>
      <a class="button button-primary" href={enrol}>
        {t.text('second-factor.enrol.action')}
      </a>
    </>
  );
}
