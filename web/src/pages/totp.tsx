import type { JSX } from 'preact';
import type { TotpPage } from '../../../src/portal/page-data.ts';
import { ActionButton, Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

/** A form's address, with where the person was going. */
function formAction(base: string, path: string, { going }: TotpPage): string {
  const query = new URLSearchParams({ ...going }).toString();
  return `${base}form/totp/${path}${query === '' ? '' : `?${query}`}`;
}

/** Setting up an authenticator app, in two steps. */
export function TotpView({ page, base, t }: ViewProps<TotpPage>): JSX.Element {
  const { enrolment, error } = page;
  return (
    <>
      <h1>{t.text('totp.heading')}</h1>
      {error !== null && (
        <div id="form-error">
          <Note tone="error">{t.text(`totp.error.${error}`)}</Note>
        </div>
      )}
      {enrolment === null ? (
        <Begin page={page} base={base} t={t} />
      ) : (
        <Confirm page={page} enrolment={enrolment} base={base} t={t} />
      )}
    </>
  );
}

function Begin({ page, base, t }: ViewProps<TotpPage>): JSX.Element {
  return (
    <>
      <p>{t.text('totp.begin')}</p>
      {page.isReplacing && <p>{t.text('totp.replacing')}</p>}
      <form method="post" action={formAction(base, 'begin', page)}>
        {page.choices.length > 0 && (
          <details>
            <summary>{t.text('totp.advanced')}</summary>
            {page.choices.map(({ name, options, chosen }) => (
              <div class="field" key={name}>
                <label for={name}>{t.text(`totp.${name}`)}</label>
                <select id={name} name={name}>
                  {options.map((option) => (
                    <option key={option} value={option} selected={option === chosen}>
                      {option}
                    </option>
                  ))}
                </select>
              </div>
            ))}
          </details>
        )}
        <button type="submit" class="button button-primary">
          {t.text('totp.begin.action')}
        </button>
      </form>
      <a class="button button-quiet" href={`${base}settings/security`}>
        {t.text('totp.back')}
      </a>
    </>
  );
}

function Confirm({
  page,
  enrolment,
  base,
  t,
}: ViewProps<TotpPage> & { readonly enrolment: NonNullable<TotpPage['enrolment']> }): JSX.Element {
  const { qrCode, url, secret, algorithm, digits, period } = enrolment;
  const { error } = page;
  return (
    <>
      <p>{t.text('totp.scan')}</p>
      <svg
        class="qr-code"
        viewBox={`0 0 ${qrCode.size} ${qrCode.size}`}
        shape-rendering="crispEdges"
        role="img"
        aria-label={t.text('totp.qr-code')}
      >
        <rect width={qrCode.size} height={qrCode.size} fill="#fff" />
        <path d={qrCode.path} fill="#000" />
      </svg>
      <details>
        <summary>{t.text('totp.manual')}</summary>
        <p>
          <code class="secret">{secret}</code>
        </p>
        <p class="small">
          {t.text('totp.parameters', { algorithm, digits: `${digits}`, period: `${period}` })}
        </p>
        <a href={url}>{t.text('totp.open-app')}</a>
      </details>
      <form method="post" action={formAction(base, 'finish', page)}>
        <div class="field">
          <label for="code">{t.text('totp.code')}</label>
          <input
            id="code"
            name="code"
            type="text"
            inputMode="numeric"
            autocomplete="one-time-code"
            autocorrect="off"
            spellcheck={false}
            required
            autofocus={error !== null}
            {...(error !== null && { 'aria-invalid': 'true' as const, 'aria-describedby': 'form-error' })}
          />
        </div>
        <button type="submit" class="button button-primary">
          {t.text('totp.finish')}
        </button>
      </form>
      <ActionButton action={formAction(base, 'cancel', page)} tone="quiet">
        {t.text('totp.cancel')}
      </ActionButton>
    </>
  );
}
