/** The reference of the configuration in Markdown, made from the schema. */
import type { Outline } from './outline.ts';
import { configurationOutline } from './schema.ts';
import { isSecretPath } from './variables.ts';

const introduction = `# Configuration

This page is made from the schema by \`node scripts/generate-docs.ts\`; do not edit it. For a first configuration, copy
[config.example.yml](../../config.example.yml). \`sallyport config validate\` names everything that is wrong with yours,
\`sallyport config print\` shows what is in force and where each value comes from, and \`configuration.schema.json\`
beside this page helps editors.

## Where values come from

Later wins:

1. defaults;
2. files: \`--config\` (repeated, or separated by commas), else \`SALLYPORT_CONFIG\`, else \`X_AUTHELIA_CONFIG\`, else
   \`configuration.yml\`. A folder stands for its \`*.yml\` and \`*.yaml\` files by name, folders inside left out. Maps of
   several files merge, lists replace each other;
3. environment variables: the path of the key in upper case with underscores, \`SALLYPORT_SESSION_NAME\` for
   \`session.name\`, or with the prefix \`AUTHELIA_\`. Lists of plain values are separated by commas. What stands in a list of
   maps (\`session.cookies[]\`) or under names of your own cannot be set. An empty variable counts as absent;
4. secrets: for the keys marked *file* below, \`SALLYPORT_…_FILE\` (or \`AUTHELIA_…_FILE\`) names a file with the value;
   line ends behind it are dropped. A value that is given in this way and in any other too is an error.

An unknown key is an error, an unknown variable a warning. A key without a value counts as absent. Keys of older
configurations go on working, with a warning that names the new place.

## Filters

\`--config.experimental.filters\`, else \`SALLYPORT_CONFIG_FILTERS\`, else \`X_AUTHELIA_CONFIG_FILTERS\`: filters that change the
text of each file before it is read as YAML. \`sallyport config template\` prints what they make.

- \`template\`: actions such as \`{{ env "DOMAIN" }}\`, \`{{ secret "/run/secrets/key" | mindent 10 "|" | msquote }}\`,
  \`{{ range list "a" "b" }}…{{ end }}\`, in the language of Go templates. \`env\` is empty for variables that carry secrets.
- \`expand-env\`: \`\${NAME}\` becomes the variable. Deprecated.

## Notations

- **duration**: a whole number of seconds, or blocks of number and unit: \`90s\`, \`1h30m\`, \`2 weeks and 1 day\`. Units: y, M
  (30 days), w, d, h, m, s, ms, us, ns, and their English names. Letter case counts for \`m\` and \`M\` only.
- **address**: \`scheme://host:port/path\`; the scheme may be left out. \`/path\` or \`unix:///path?umask=0022&path=segment\` is a
  socket, \`unix://@name\` an abstract one, \`fd://3\` an inherited descriptor. IPv6 stands in brackets.
- **network**: an IP address, or CIDR such as \`10.0.0.0/8\`.
- **regular expression**: RE2 syntax. It matches anywhere unless written with \`^\` and \`$\`.
- **list**: a single item needs no list.
- Text may be a number, and numbers and booleans may stand in quotes; \`yes\` and \`no\` are no booleans.
`;

export function configurationReference(): string {
  const top: string[] = [];
  const sections: string[] = [];
  for (const [name, outline] of configurationOutline.keys) {
    if (outline.kind === 'value') top.push(row([name], outline, name));
    else sections.push(chapter(name, outline));
  }
  return [introduction, `## Top level\n\n${table(top)}`, ...sections].join('\n');
}

function chapter(name: string, outline: Outline): string {
  const need = outline.required ? ' Required.' : '';
  return `## ${name}\n\n${outline.description}${need}\n\n${table([...rows(outline, [name], '')])}`;
}

function table(lines: readonly string[]): string {
  return `| key | value | default | |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}

/** One row for each key; `path` is null below lists and names, where nothing can be set from outside. */
function* rows(outline: Outline, path: readonly string[] | null, prefix: string): Generator<string> {
  for (const [name, inner] of outline.keys) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    const at = path === null ? null : [...path, name];
    yield row(at, inner, key);
    if (inner.kind === 'section') yield* rows(inner, at, key);
    else if (inner.item !== undefined) yield* itemRows(inner, key);
  }
}

function* itemRows(outline: Outline, key: string): Generator<string> {
  const below = outline.kind === 'names' ? `${key}.<name>` : `${key}[]`;
  const { item } = outline;
  if (item === undefined) return;
  if (item.kind === 'section') yield* rows(item, null, below);
  else if (item.item !== undefined && item.kind === 'list') yield* itemRows(item, below);
}

function row(path: readonly string[] | null, outline: Outline, key: string): string {
  const isFile = path !== null && outline.kind === 'value' && isSecretPath(path);
  return `| \`${key}\` | ${cell(typeOf(outline))}${isFile ? ', *file*' : ''} | ${cell(defaultOf(outline))} | ${cell(outline.description)} |`;
}

function typeOf(outline: Outline): string {
  if (outline.kind === 'section') return 'map';
  if (outline.kind === 'value') return outline.value?.name ?? '';
  const item = outline.item === undefined ? '' : typeOf(outline.item);
  return outline.kind === 'names' ? `map of names to ${item}` : `list of ${item}`;
}

function defaultOf(outline: Outline): string {
  if (outline.required) return 'required';
  if (outline.kind === 'section' || outline.fallback === undefined) return '';
  if (outline.kind === 'names') return Object.keys(outline.fallback ?? {}).join(', ');
  const { fallback } = outline;
  if (fallback === '') return "`''`";
  return `\`${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
