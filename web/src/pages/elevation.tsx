import type { JSX } from 'preact';
import type { ElevationPage } from '../../../src/portal/page-data.ts';
import { Account, Emphasis, Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';
import type { Translate } from '../translate.ts';

/** Two ways to prove that one is there, or both one after the other; each is a form of its own. */
export function ElevationView({ page, base, t }: ViewProps<ElevationPage>): JSX.Element {
  const { error, secondFactor, address } = page;
  const action = (path: string): string =>
    `${base}form/elevation/${path}?${new URLSearchParams({ back: page.back, ...page.going, ...(page.sent && { sent: page.sent }) })}`;
  const byMail = !page.needsSecondFactor;
  return (
    <>
      <h1>{t.text('elevation.heading')}</h1>
      {error !== null && (
        <div id="form-error">
          <Note tone="error">{t.text(`elevation.error.${error}`)}</Note>
        </div>
      )}
      <p>{t.text(page.needsSecondFactor ? 'elevation.text.second-factor' : 'elevation.text')}</p>
      {secondFactor !== null && (
        <CodeForm
          id="second-factor"
          action={action('second-factor')}
          label={t.text(`elevation.${secondFactor}`)}
          isNumber={secondFactor === 'totp'}
          invalid={error === 'second-factor'}
          autofocus
          t={t}
        />
      )}
      {byMail && address === null && <Note tone="calm">{t.text('elevation.no-address')}</Note>}
      {byMail && address !== null && page.sent !== null && (
        <>
          <Note tone="calm">
            {t.rich(`elevation.sent.${page.sent}`, { address: <Emphasis>{address}</Emphasis> })}
          </Note>
          <CodeForm
            id="code"
            action={action('finish')}
            label={t.text('elevation.code')}
            isNumber={false}
            invalid={error === 'code' || error === 'missing'}
            autofocus={secondFactor === null}
            t={t}
          />
        </>
      )}
      {byMail && address !== null && (
        <form method="post" action={action('start')}>
          <button
            type="submit"
            class={`button button-${page.sent === null && secondFactor === null ? 'primary' : 'quiet'}`}
          >
            <span>
              {page.sent === null
                ? t.rich('elevation.send', { address: <bdi>{address}</bdi> })
                : t.text('elevation.send-again')}
            </span>
          </button>
        </form>
      )}
      <Account displayName={page.displayName} username={page.username} t={t} />
      <a class="button button-quiet" href={base}>
        {t.text('password.cancel')}
      </a>
    </>
  );
}

function CodeForm({
  id,
  action,
  label,
  isNumber,
  invalid,
  autofocus,
  t,
}: {
  readonly id: string;
  readonly action: string;
  readonly label: string;
  readonly isNumber: boolean;
  readonly invalid: boolean;
  readonly autofocus: boolean;
  readonly t: Translate;
}): JSX.Element {
  return (
    <form method="post" action={action}>
      <div class="field">
        <label for={id}>{label}</label>
        <input
          id={id}
          name="code"
          type="text"
          {...(isNumber && { inputMode: 'numeric' as const })}
          autocomplete="one-time-code"
          autocapitalize="characters"
          autocorrect="off"
          spellcheck={false}
          required
          autofocus={autofocus}
          {...(invalid && { 'aria-invalid': 'true' as const, 'aria-describedby': 'form-error' })}
        />
      </div>
      <button type="submit" class="button button-primary">
        {t.text('elevation.submit')}
      </button>
    </form>
  );
}
