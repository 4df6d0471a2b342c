import type { JSX } from 'preact';
import type { SessionEntry, SessionsPage } from '../../../src/portal/page-data.ts';
import { Moment, useViewpoint, type Viewpoint } from '../moment.tsx';
import { ActionButton, Note } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';
import type { Translate } from '../translate.ts';

/** Everything on it works without script; the browser tells the times in its own time zone and keeps them up to date. */
export function SessionsView({ page, base, t }: ViewProps<SessionsPage>): JSX.Element {
  const viewpoint = useViewpoint(page.now);
  return (
    <>
      <h1>{t.text('sessions.heading')}</h1>
      {page.error !== null && <Note tone="error">{t.text(`sessions.error.${page.error}`)}</Note>}
      {page.done !== null && page.error === null && (
        <Note tone="calm">{t.text(`sessions.done.${page.done}`)}</Note>
      )}
      <p>{t.text('sessions.text')}</p>
      <ul class="sessions">
        {page.sessions.map((entry) => (
          <Entry key={entry.id} entry={entry} base={base} viewpoint={viewpoint} t={t} />
        ))}
      </ul>
      {page.sessions.length > 1 && (
        <ActionButton action={`${base}form/sessions/end-others`} tone="primary">
          {t.text('sessions.end-others')}
        </ActionButton>
      )}
      <a class="button button-quiet" href={base}>
        {t.text('sessions.back')}
      </a>
    </>
  );
}

function Entry({
  entry,
  base,
  viewpoint,
  t,
}: {
  readonly entry: SessionEntry;
  readonly base: string;
  readonly viewpoint: Viewpoint;
  readonly t: Translate;
}): JSX.Element {
  const { id, isCurrent } = entry;
  const when = (at: number): JSX.Element => <Moment at={at} viewpoint={viewpoint} language={t.language} />;
  return (
    <li class={isCurrent ? 'session session-current' : 'session'}>
      <div class="session-head">
        <h2 id={`device-${id}`}>
          <bdi>{deviceName(entry, t)}</bdi>
        </h2>
        {isCurrent && <span class="badge">{t.text('sessions.current')}</span>}
      </div>
      <dl>
        <Fact name={t.text('sessions.last-active')}>{when(entry.lastActiveAt)}</Fact>
        <Fact name={t.text('sessions.created')}>{when(entry.createdAt)}</Fact>
        <Fact name={t.text('sessions.address')}>
          <bdi>{entry.ip}</bdi>
        </Fact>
        <Fact name={t.text('sessions.sites')}>
          <bdi>{entry.cookieDomain}</bdi>
        </Fact>
      </dl>
      <form method="post" action={`${base}form/sessions/end`}>
        <input type="hidden" name="id" value={id} />
        <button
          type="submit"
          id={`end-${id}`}
          class="button button-quiet button-small"
          aria-labelledby={`end-${id} device-${id}`}
        >
          {t.text(isCurrent ? 'account.sign-out' : 'sessions.end')}
        </button>
      </form>
    </li>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: JSX.Element }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function deviceName({ device: { browser, system } }: SessionEntry, t: Translate): string {
  if (browser !== null && system !== null) return t.text('sessions.device', { browser, system });
  return browser ?? system ?? t.text('sessions.device.unknown');
}
