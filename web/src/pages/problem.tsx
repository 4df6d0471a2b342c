import type { JSX } from 'preact';
import type { ProblemPage } from '../../../src/portal/page-data.ts';
import type { ViewProps } from '../parts.tsx';

export function ProblemView({ page, base, t }: ViewProps<ProblemPage>): JSX.Element {
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
