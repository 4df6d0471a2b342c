import type { ComponentChildren } from 'preact';
import type { PageData } from '../../src/portal/page-data.ts';

/** Finds the texts of one page. A key without a text shows as itself, so that a gap is seen and nothing breaks. */
export interface Translate {
  /** BCP 47. */
  readonly language: string;
  /** The text of `key`, its placeholders `{name}` filled in. */
  text(key: string, values?: Readonly<Record<string, string>>): string;
  /** The same with elements as values, so that a name inside of a sentence can be emphasised in every language. */
  rich(key: string, values: Readonly<Record<string, ComponentChildren>>): ComponentChildren[];
  /** The form of `key` that the language uses for `count` (`<key>_one`, `<key>_other` …), with `{count}` filled in. */
  plural(key: string, count: number): string;
}

export function createTranslate({ texts, language }: Pick<PageData, 'texts' | 'language'>): Translate {
  const find = (key: string): string | undefined => (Object.hasOwn(texts, key) ? texts[key] : undefined);

  function rich(key: string, values: Readonly<Record<string, ComponentChildren>>): ComponentChildren[] {
    const parts = (find(key) ?? key).split(/(\{\w+\})/);
    return parts
      .filter((part) => part !== '')
      .map((part) => {
        const name = part.slice(1, -1);
        return part.startsWith('{') && Object.hasOwn(values, name) ? values[name] : part;
      });
  }

  function text(key: string, values: Readonly<Record<string, string>> = {}): string {
    return rich(key, values).join('');
  }

  function plural(key: string, count: number): string {
    const form = `${key}_${new Intl.PluralRules(language).select(count)}`;
    const known = find(form) === undefined ? `${key}_other` : form;
    return text(known, { count: new Intl.NumberFormat(language).format(count) });
  }

  return { language, text, rich, plural };
}
