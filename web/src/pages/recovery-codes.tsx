import type { JSX } from 'preact';
import type { RecoveryCodesPage } from '../../../src/portal/page-data.ts';
import { ActionButton, Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

export function RecoveryCodesView({ page, base, t }: ViewProps<RecoveryCodesPage>): JSX.Element {
  const { codes, left, canMake } = page;
  return (
    <>
      <h1>{t.text('recovery-codes.heading')}</h1>
      {codes === null ? (
        <>
          <p>{t.text('recovery-codes.text')}</p>
          {canMake && left > 0 && <p>{t.plural('recovery-codes.left', left)}</p>}
          {canMake ? (
            <ActionButton action={`${base}form/recovery-codes`} tone="primary">
              {t.text(left === 0 ? 'recovery-codes.make' : 'recovery-codes.renew')}
            </ActionButton>
          ) : (
            <p>{t.text('recovery-codes.no-factor')}</p>
          )}
        </>
      ) : (
        <>
          <Note tone="calm">{t.text('recovery-codes.once')}</Note>
          <ul class="codes">
            {codes.map((code) => (
              <li key={code}>
                <code>{code}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      <a class={`button button-${codes === null ? 'quiet' : 'primary'}`} href={`${base}settings/security`}>
        {t.text(codes === null ? 'recovery-codes.back' : 'recovery-codes.kept')}
      </a>
    </>
  );
}
