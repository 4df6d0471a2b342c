import type { JSX } from 'preact';
import type { SecurityPage } from '../../../src/portal/page-data.ts';
import { Moment, useViewpoint } from '../moment.tsx';
import { Account, ActionButton, Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

/** What protects the account. Everything on it works without script. */
export function SecurityView({ page, base, t }: ViewProps<SecurityPage>): JSX.Element {
  const { done, error } = page;
  return (
    <>
      <h1>{t.text('security.heading')}</h1>
      {error !== null && <Note tone="error">{t.text(`security.error.${error}`)}</Note>}
      {error === null && done !== null && <Note tone="calm">{t.text(`security.done.${done}`)}</Note>}
      <Account displayName={page.displayName} username={page.username} t={t} />
      <Authenticator page={page} base={base} t={t} />
      {page.totp !== null && <RecoveryCodes page={page} base={base} t={t} />}
      <section class="setting">
        <h2>{t.text('security.more')}</h2>
        {page.canChangePassword && (
          <a class="button button-quiet" href={`${base}settings/password`}>
            {t.text('security.password')}
          </a>
        )}
        <a class="button button-quiet" href={`${base}settings/sessions`}>
          {t.text('security.sessions')}
        </a>
        <a class="button button-quiet" href={base}>
          {t.text('security.back')}
        </a>
      </section>
    </>
  );
}

function Authenticator({ page, base, t }: ViewProps<SecurityPage>): JSX.Element {
  const viewpoint = useViewpoint(page.now);
  const { totp } = page;
  const when = (at: number): JSX.Element => <Moment at={at} viewpoint={viewpoint} language={t.language} />;
  return (
    <section class="setting">
      <h2>{t.text('security.totp')}</h2>
      {totp === null ? (
        <>
          <p>{t.text(page.canAddTotp ? 'security.totp.none' : 'security.totp.off')}</p>
          {page.canAddTotp && (
            <a class="button button-primary" href={`${base}settings/totp`}>
              {t.text('security.totp.add')}
            </a>
          )}
        </>
      ) : (
        <>
          <dl>
            <div>
              <dt>{t.text('security.totp.created')}</dt>
              <dd>{when(totp.createdAt)}</dd>
            </div>
            <div>
              <dt>{t.text('security.totp.used')}</dt>
              <dd>{totp.lastUsedAt === null ? t.text('security.totp.never') : when(totp.lastUsedAt)}</dd>
            </div>
          </dl>
          {page.canAddTotp && (
            <a class="button button-quiet" href={`${base}settings/totp`}>
              {t.text('security.totp.replace')}
            </a>
          )}
          <details>
            <summary>{t.text('security.totp.remove')}</summary>
            <p>{t.text('security.totp.remove.text')}</p>
            <ActionButton action={`${base}form/totp/remove`} tone="quiet">
              {t.text('security.totp.remove.action')}
            </ActionButton>
          </details>
        </>
      )}
    </section>
  );
}

function RecoveryCodes({ page, base, t }: ViewProps<SecurityPage>): JSX.Element {
  const { recoveryCodes: left } = page;
  return (
    <section class="setting">
      <h2>{t.text('security.recovery-codes')}</h2>
      <p>
        {left === 0 ? t.text('security.recovery-codes.none') : t.plural('security.recovery-codes.left', left)}
      </p>
      <a class={`button button-${left === 0 ? 'primary' : 'quiet'}`} href={`${base}settings/recovery-codes`}>
        {t.text(left === 0 ? 'security.recovery-codes.make' : 'security.recovery-codes.renew')}
      </a>
    </section>
  );
}
