import type { JSX } from 'preact';
import type { ProblemPage } from '../../../src/portal/page-data.ts';
import { ActionButton } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';

export function ProblemView({ page, base, t }: ViewProps<ProblemPage>): JSX.Element {
  if (page.code === 'sign-in-again') return <SignInAgain page={page} base={base} t={t} />;
  const passing = page.code === 'unavailable' || page.code === 'internal';
  return (
    <>
      <p class="status">{page.status}</p>
      <h1>{t.text(`problem.${page.code}`)}</h1>
      <p>{t.text(`problem.${page.code}.text`)}</p>
      <a class="button button-primary" href={passing ? (page.retry ?? base) : base}>
        {t.text(passing ? 'problem.retry' : 'problem.home')}
      </a>
      {page.requestId !== '' && (
        <p class="small">
          {`${t.text('problem.request')} `}
          <code>{page.requestId}</code>
        </p>
      )}
    </>
  );
}

/** The session is somebody else's, or was begun in another browser: the way on leads over signing out. */
function SignInAgain({ page, base, t }: ViewProps<ProblemPage>): JSX.Element {
  return (
    <>
      <p class="status">{page.status}</p>
      <h1>{t.text('problem.sign-in-again')}</h1>
      <p>{t.text('problem.sign-in-again.text')}</p>
      <ActionButton action={`${base}form/logout`} tone="primary">
        {t.text('problem.sign-in-again.action')}
      </ActionButton>
      <a class="button button-quiet" href={base}>
        {t.text('problem.home')}
      </a>
    </>
  );
}
