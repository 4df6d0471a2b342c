/** Small pieces that several pages use. */
import type { ComponentChildren, JSX } from 'preact';
import type { Translate } from './translate.ts';

/** What every page is given beside its own data. */
export interface ViewProps<P> {
  readonly page: P;
  readonly base: string;
  readonly t: Translate;
}

/** A host or a name inside of a sentence: emphasised, and kept apart from the direction of the text around it. */
export function Emphasis({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return (
    <strong class="emphasis">
      <bdi>{children}</bdi>
    </strong>
  );
}

/** A host, which breaks at its dots and before its port rather than anywhere. */
export function SiteName({ site }: { readonly site: string }): JSX.Element {
  const [first, ...others] = site.split(/(?=[.:])/);
  return (
    <Emphasis>
      {first}
      {others.flatMap((part) => [<wbr />, part])}
    </Emphasis>
  );
}

/** Something that the person should know before going on. */
export function Note({
  tone,
  children,
}: {
  readonly tone: 'calm' | 'error';
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class={`note note-${tone}`}>
      <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <circle cx="12" cy="12" r="9" />
        <path d={tone === 'error' ? 'M12 7.5v5.5M12 16.4v.1' : 'M12 11v5.5M12 7.5v.1'} />
      </svg>
      <p>{children}</p>
    </div>
  );
}

/** Who is signed in. */
export function Account({
  displayName,
  username,
  t,
}: {
  readonly displayName: string;
  readonly username: string;
  readonly t: Translate;
}): JSX.Element {
  const name = displayName || username;
  return (
    <div class="account">
      <span class="avatar" aria-hidden="true">
        {initialOf(name)}
      </span>
      <p>
        {t.rich('account.signed-in-as', { name: <Emphasis>{name}</Emphasis> })}
        {username !== '' && username !== name && <bdi class="username">{username}</bdi>}
      </p>
    </div>
  );
}

/** A form of one button. It posts, because a link must not change anything. */
export function ActionButton({
  action,
  tone,
  children,
}: {
  readonly action: string;
  readonly tone: 'primary' | 'quiet';
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <form method="post" action={action}>
      <button type="submit" class={`button button-${tone}`}>
        {children}
      </button>
    </form>
  );
}

function initialOf(name: string): string {
  const [first = ''] = name.trim();
  return first.toUpperCase();
}
