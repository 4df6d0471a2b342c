import type { JSX } from 'preact';
import type { RevokePage } from '../../../src/portal/page-data.ts';
import type { ViewProps } from '../parts.tsx';

export function RevokeView({ page, base, t }: ViewProps<RevokePage>): JSX.Element {
  const { what, state } = page;
  return (
    <>
      <h1>{t.text(`revoke.${what}.${state}`)}</h1>
      <p>{t.text(`revoke.${what}.${state}.text`)}</p>
      {state === 'ask' && (
        <form method="post" action={page.action}>
          <input type="hidden" name="value" value={page.value} />
          <button type="submit" class="button button-primary">
            {t.text(`revoke.${what}.submit`)}
          </button>
        </form>
      )}
      <a class="button button-quiet" href={base}>
        {t.text('problem.home')}
      </a>
    </>
  );
}
