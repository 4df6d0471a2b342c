import type { JSX } from 'preact';
import type { Translate } from './translate.ts';

/** The eye beside a password: what was typed, to read. */
export function RevealButton({
  controls,
  revealed,
  onToggle,
  t,
}: {
  /** The id of the input. */
  readonly controls: string;
  readonly revealed: boolean;
  readonly onToggle: () => void;
  readonly t: Translate;
}): JSX.Element {
  return (
    <button
      type="button"
      class="toggle"
      aria-pressed={revealed}
      aria-label={t.text('login.password.show')}
      title={t.text('login.password.show')}
      aria-controls={controls}
      onClick={onToggle}
    >
      <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z" />
        <circle cx="12" cy="12" r="3" />
        {revealed && <path d="M4 20 20 4" />}
      </svg>
    </button>
  );
}
