import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { PasswordError, PasswordRequirement } from '../../src/portal/page-data.ts';
import { Note } from './parts.tsx';
import { RevealButton } from './reveal-button.tsx';
import type { Translate } from './translate.ts';

/** A password input; with script one can look at what was typed. */
export function PasswordField({
  name,
  label,
  autocomplete,
  autofocus,
  invalid,
  describedBy,
  t,
}: {
  readonly name: string;
  readonly label: string;
  readonly autocomplete: 'current-password' | 'new-password';
  readonly autofocus: boolean;
  readonly invalid: boolean;
  readonly describedBy: string | undefined;
  readonly t: Translate;
}): JSX.Element {
  const [live, setLive] = useState(false);
  const [revealed, setRevealed] = useState(false);
  useEffect(() => setLive(true), []);
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <div class="with-toggle">
        <input
          id={name}
          name={name}
          {...(revealed ? { type: 'text' as const } : { type: 'password' as const })}
          autocomplete={autocomplete}
          autocapitalize="none"
          autocorrect="off"
          spellcheck={false}
          required
          autofocus={autofocus}
          {...(invalid && { 'aria-invalid': 'true' as const })}
          {...(describedBy !== undefined && { 'aria-describedby': describedBy })}
        />
        {live && (
          <RevealButton controls={name} revealed={revealed} onToggle={() => setRevealed(!revealed)} t={t} />
        )}
      </div>
    </div>
  );
}

/** What a new password must be like; nothing where there are no rules. */
export function Requirements({
  requirements,
  t,
}: {
  readonly requirements: readonly PasswordRequirement[];
  readonly t: Translate;
}): JSX.Element | null {
  if (requirements.length === 0) return null;
  return (
    <div id="requirements" class="requirements">
      <p>{t.text('password.rules')}</p>
      <ul>
        {requirements.map(({ rule, count, isBroken }) => (
          <li key={rule} class={isBroken ? 'broken' : undefined}>
            {ruleText(rule, count, t)}
            {isBroken && <strong>{` ${t.text('password.rule.broken')}`}</strong>}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Why a new password was not taken. */
export function PasswordComplaint({
  error,
  reason,
  t,
}: {
  readonly error: PasswordError | null;
  readonly reason: string | null;
  readonly t: Translate;
}): JSX.Element | null {
  if (error === null) return null;
  return (
    <div id="form-error">
      <Note tone="error">{reason ?? t.text(`password.error.${error}`)}</Note>
    </div>
  );
}

/** What describes the input of a new password. */
export function describedBy(
  error: PasswordError | null,
  requirements: readonly unknown[],
): string | undefined {
  const ids = [
    ...(error === null ? [] : ['form-error']),
    ...(requirements.length === 0 ? [] : ['requirements']),
  ];
  return ids.length === 0 ? undefined : ids.join(' ');
}

function ruleText(rule: PasswordRequirement['rule'], count: number, t: Translate): string {
  const counts = rule === 'min_length' || rule === 'max_length';
  return counts ? t.plural(`password.rule.${rule}`, count) : t.text(`password.rule.${rule}`);
}
