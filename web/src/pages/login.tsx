import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { LoginPage } from '../../../src/portal/page-data.ts';
import { Note, SiteName } from '../parts.tsx';
import type { ViewProps } from '../parts.tsx';
import { RevealButton } from '../reveal-button.tsx';
import { portalAddress, signIn } from '../sign-in.ts';
import type { SignInError } from '../sign-in.ts';
import type { Translate } from '../translate.ts';

type Field = 'username' | 'password';

/** What the form says about the last try. */
interface Complaint {
  readonly error: SignInError;
  /** The fields that are to be filled in or corrected; the first one has the focus. */
  readonly fields: readonly Field[];
}

/**
 * The sign-in form. Without script it posts, and the page comes back with what was wrong. With script it asks the JSON
 * API, so that an error leaves everything in place, and it moves on when somebody signs in in another tab.
 *
 * The inputs keep their own values: what was typed before the script arrived stays.
 */
export function LoginView({ page, base, t }: ViewProps<LoginPage>): JSX.Element {
  const [complaint, setComplaint] = useState<Complaint | null>(() => complaintOf(page));
  const [pending, setPending] = useState(false);
  const [live, setLive] = useState(false);
  const [revealed, setRevealed] = useState(false);
  const [capsLock, setCapsLock] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const username = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const channel = useRef<BroadcastChannel>(null);
  const inputs = { username, password };

  useEffect(() => {
    setLive(true);
    const goOn = (): void => location.assign(portalAddress(page, base));
    const otherTabs = new BroadcastChannel(`sallyport ${base}`);
    otherTabs.addEventListener('message', goOn);
    channel.current = otherTabs;
    // A page that comes back out of the browser's memory is as it was left: in the middle of signing in.
    const onShow = (event: PageTransitionEvent): void => {
      if (event.persisted) goOn();
    };
    addEventListener('pageshow', onShow);
    return () => {
      otherTabs.close();
      removeEventListener('pageshow', onShow);
    };
  }, [page, base]);

  // After the new text stands in the page, so that the field is read out together with what is said about it.
  useEffect(() => {
    const [first] = complaint?.fields ?? [];
    if (live && first !== undefined) inputs[first].current?.focus();
  }, [complaint]);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (pending || form.current === null) return;
    const entered = new FormData(form.current);
    const credentials = {
      username: String(entered.get('username') ?? ''),
      password: String(entered.get('password') ?? ''),
      remember: entered.get('remember') === 'on',
    };
    const missing = missingFields(credentials);
    if (missing.length > 0) {
      setComplaint({ error: 'missing', fields: missing });
      return;
    }
    setPending(true);
    setRevealed(false);
    const outcome = await signIn(page, base, credentials, (url, init) => fetch(url, init));
    if (outcome.status === 'signed-in') {
      channel.current?.postMessage('signed-in');
      location.assign(outcome.redirect ?? portalAddress(page, base));
      return;
    }
    const refused = outcome.error === 'credentials';
    if (refused && password.current !== null) password.current.value = '';
    setPending(false);
    setComplaint({ error: outcome.error, fields: refused ? ['password'] : [] });
  }

  function noticeCapsLock(event: Event): void {
    // A browser that fills in the form sends key events that are no KeyboardEvent.
    if (event instanceof KeyboardEvent) setCapsLock(event.getModifierState('CapsLock'));
  }

  const about = (field: Field): FieldState => {
    if (!complaint?.fields.includes(field)) return { invalid: false, describedBy: undefined };
    return { invalid: true, describedBy: complaint.error === 'missing' ? `${field}-missing` : 'form-error' };
  };
  const focusFirst = complaint?.fields[0] ?? (page.username === '' ? 'username' : 'password');

  return (
    <>
      <h1>
        {page.target === null
          ? t.text('login.heading')
          : t.rich('login.heading.site', { site: <SiteName site={page.target.site} /> })}
      </h1>
      {page.targetRefused && <Note tone="calm">{t.text('login.refused')}</Note>}
      <div id="form-error" aria-live="assertive">
        {complaint !== null && complaint.error !== 'missing' && !pending && (
          <Note tone="error">{t.text(`error.${complaint.error}`)}</Note>
        )}
      </div>
      <form
        ref={form}
        method="post"
        action={page.action}
        noValidate={live}
        aria-busy={pending}
        onSubmit={(event) => void submit(event)}
      >
        <div class="field">
          <label for="username">{t.text('login.username')}</label>
          <input
            ref={username}
            id="username"
            name="username"
            type="text"
            autocomplete="username"
            autocapitalize="none"
            autocorrect="off"
            spellcheck={false}
            required
            autofocus={focusFirst === 'username'}
            defaultValue={page.username}
            readOnly={pending}
            {...ariaOf(about('username'))}
          />
          <Missing
            field="username"
            shown={complaint?.error === 'missing' && about('username').invalid}
            t={t}
          />
        </div>
        <div class="field">
          <label for="password">{t.text('login.password')}</label>
          <div class="with-toggle">
            <input
              ref={password}
              id="password"
              name="password"
              {...(revealed ? { type: 'text' as const } : { type: 'password' as const })}
              autocomplete="current-password"
              autocapitalize="none"
              autocorrect="off"
              spellcheck={false}
              required
              autofocus={focusFirst === 'password'}
              readOnly={pending}
              onKeyDown={noticeCapsLock}
              onKeyUp={noticeCapsLock}
              onBlur={() => setCapsLock(false)}
              {...ariaOf(about('password'))}
            />
            {live && (
              <RevealButton
                controls="password"
                revealed={revealed}
                onToggle={() => setRevealed(!revealed)}
                t={t}
              />
            )}
          </div>
          <Missing
            field="password"
            shown={complaint?.error === 'missing' && about('password').invalid}
            t={t}
          />
          <div class="hint" aria-live="polite">
            {capsLock && t.text('login.capslock')}
          </div>
        </div>
        {page.rememberMe !== null && (
          <label class="check">
            <input type="checkbox" name="remember" value="on" />
            <span>{rememberText(page.rememberMe, t)}</span>
          </label>
        )}
        <button type="submit" class="button button-primary" aria-disabled={pending}>
          {pending && <span class="spinner" aria-hidden="true" />}
          {t.text(submitKey(complaint, pending))}
        </button>
      </form>
      {page.resetUrl !== null && (
        <a class="button button-quiet" href={page.resetUrl}>
          {t.text('login.reset')}
        </a>
      )}
    </>
  );
}

interface FieldState {
  readonly invalid: boolean;
  readonly describedBy: string | undefined;
}

function ariaOf({ invalid, describedBy }: FieldState): {
  'aria-invalid'?: 'true';
  'aria-describedby'?: string | undefined;
} {
  return invalid ? { 'aria-invalid': 'true', 'aria-describedby': describedBy } : {};
}

function Missing({
  field,
  shown,
  t,
}: {
  readonly field: Field;
  readonly shown: boolean;
  readonly t: Translate;
}): JSX.Element | null {
  if (!shown) return null;
  return (
    <p class="field-error" id={`${field}-missing`}>
      {t.text(`login.${field}.missing`)}
    </p>
  );
}

/** A password may be made of spaces, a username may not. */
function missingFields({ username, password }: Readonly<Record<Field, string>>): Field[] {
  return [
    ...(username.trim() === '' ? ['username' as const] : []),
    ...(password === '' ? ['password' as const] : []),
  ];
}

/** What the server says about the last try. It never sends the password back, and the name only sometimes. */
function complaintOf({ error, username }: LoginPage): Complaint | null {
  if (error === null) return null;
  const empty = missingFields({ username, password: '' });
  return { error, fields: error === 'missing' || error === 'credentials' ? empty : [] };
}

function submitKey(complaint: Complaint | null, pending: boolean): string {
  if (pending) return 'login.pending';
  return complaint === null || complaint.fields.length > 0 ? 'login.submit' : 'login.again';
}

/** The largest unit that says the time without a fraction. */
function rememberText(seconds: number, t: Translate): string {
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes % 1440 === 0) return t.plural('login.remember.days', minutes / 1440);
  if (minutes % 60 === 0) return t.plural('login.remember.hours', minutes / 60);
  return t.plural('login.remember.minutes', minutes);
}
