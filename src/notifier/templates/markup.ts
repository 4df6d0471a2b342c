/** HTML in which every value is text unless it was made by `html` itself. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Piece = string | Markup | null | readonly (string | Markup)[];

/** A template tag: values are escaped, markup and lists of it stand as they are, null is nothing. */
export function html(parts: TemplateStringsArray, ...values: readonly Piece[]): Markup {
  const write = (piece: Piece): string => {
    if (piece === null) return '';
    if (piece instanceof Markup) return piece.text;
    return typeof piece === 'string' ? escapeHtml(piece) : piece.map(write).join('');
  };
  return new Markup(
    parts.map((part, index) => (index === 0 ? part : `${write(values[index - 1] ?? null)}${part}`)).join(''),
  );
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
  '=': '&#61;',
};

/** Text for an element or an attribute, in any quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"'`=]/g, (character) => entities[character] ?? character);
}
