/**
 * What mails say, by language. A language is one file in `locales/` and one entry here; English is complete and stands
 * behind every other.
 */
import { en } from './locales/en.ts';

export interface MailLanguage {
  /** BCP 47 */
  readonly locale: string;
  readonly direction: 'ltr' | 'rtl';
  readonly texts: Readonly<Record<string, string>>;
}

/** A text of `locales/en.ts`, plural forms without their ending. */
export type TextKey = keyof typeof en.texts extends infer Key
  ? Key extends `${infer Stem}_${'one' | 'other'}`
    ? Stem
    : Key
  : never;

export type TextValues = Readonly<Record<string, string | number>>;

const languages: readonly MailLanguage[] = [en];

export interface MailTexts {
  readonly locale: string;
  readonly direction: 'ltr' | 'rtl';
  /** The text with its values; `count` chooses the plural form. */
  say(key: TextKey, values?: TextValues): string;
  /** Date and time in UTC, as people write it. */
  time(at: number): string;
}

/** The texts for a language tag: of that language, else of what it is a variant of (`de` for `de-CH`), else English. */
export function mailTexts(tag: string): MailTexts {
  const wanted = tag.toLowerCase().split('-');
  const found = wanted
    .map((_, index) => wanted.slice(0, wanted.length - index).join('-'))
    .map((prefix) => languages.find(({ locale }) => locale.toLowerCase() === prefix))
    .find((language) => language !== undefined);
  const { locale, direction, texts }: MailLanguage = found ?? en;
  const plurals = new Intl.PluralRules(locale);
  const times = new Intl.DateTimeFormat(locale, {
    dateStyle: 'long',
    timeStyle: 'short',
    hourCycle: 'h23',
    timeZone: 'UTC',
  });

  return {
    locale,
    direction,
    say(key, values = {}) {
      const { count } = values;
      const forms =
        typeof count === 'number' ? [`${key}_${plurals.select(count)}`, `${key}_other`, key] : [key];
      const text =
        forms.map((form) => texts[form]).find((form) => form !== undefined) ??
        forms.map((form) => (en.texts as MailLanguage['texts'])[form]).find((form) => form !== undefined) ??
        '';
      return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) =>
        Object.hasOwn(values, name) ? String(values[name]) : whole,
      );
    },
    time: (at) => `${times.format(at)} UTC`,
  };
}
