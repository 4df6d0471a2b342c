/** Filters change the text of a configuration file before it is read as YAML. */
import { readFileSync } from 'node:fs';
import { nearestWord } from '../lib/nearest-word.ts';
import { renderTemplate, TemplateError, type TemplateFunction, templateText } from '../lib/template.ts';
import { templateFunctions } from '../lib/template-functions.ts';
import { fileFault } from './file-fault.ts';
import type { Problem } from './problem.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type Filter = (text: string, environment: Environment, warn: (message: string) => void) => string;

const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  [
    'template',
    (text, environment) =>
      renderTemplate(text, { functions: new Map([...templateFunctions, ...outside(environment)]) }),
  ],
  ['expand-env', expandVariables],
]);

/** The text after every filter, or null when there is an error. */
export function applyFilters(
  text: string,
  file: string,
  source: { readonly filters: readonly string[]; readonly environment: Environment },
): { readonly text: string | null; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  let filtered = text;
  for (const name of source.filters) {
    const filter = filters.get(name);
    if (filter === undefined) continue;
    try {
      filtered = filter(filtered, source.environment, (message) =>
        problems.push({ severity: 'warning', key: '', message, file }),
      );
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      problems.push({
        severity: 'error',
        key: '',
        message: `template ${error.message}`,
        file,
        line: error.line,
        column: error.column,
      });
      return { text: null, problems };
    }
  }
  return { text: filtered, problems };
}

/** Filters that do not exist, or that are named twice. */
export function checkFilters(names: readonly string[]): Problem[] {
  return names.flatMap((name, index): Problem[] => {
    if (names.indexOf(name) !== index)
      return [{ severity: 'error', key: '', message: `the filter "${name}" is named twice` }];
    if (filters.has(name)) return [];
    const near = nearestWord(name, filters.keys());
    const hint =
      near === null ? `; there are ${[...filters.keys()].join(' and ')}` : `; did you mean "${near}"?`;
    return [{ severity: 'error', key: '', message: `there is no filter "${name}"${hint}` }];
  });
}

/** Variables that carry a secret for a key: a template must not copy them elsewhere. */
function isHidden(name: string): boolean {
  return (
    /^(?:X_)?(?:AUTHELIA|SALLYPORT)_/.test(name) &&
    /(?:KEY|SECRET|PASSWORD|TOKEN|CERTIFICATE_CHAIN)$/.test(name)
  );
}

function outside(environment: Environment): [string, TemplateFunction][] {
  const lookUp = (name: string): string =>
    isHidden(name) || !Object.hasOwn(environment, name) ? '' : (environment[name] ?? '');
  return [
    ['env', (name = '') => lookUp(templateText(name))],
    [
      'mustEnv',
      (name = '') => {
        const key = templateText(name);
        if (!Object.hasOwn(environment, key) || environment[key] === undefined)
          throw new Error(`environment variable ${key} is not set`);
        return lookUp(key);
      },
    ],
    [
      'expandenv',
      (text = '') =>
        templateText(text).replaceAll(
          /\$(?:\{(\w+)\}|(\w+))/g,
          (_, braced: string | undefined, bare: string | undefined) => lookUp(braced ?? bare ?? ''),
        ),
    ],
    ['fileContent', (path = '') => readFile(templateText(path))],
    ['secret', (path = '') => readFile(templateText(path)).replace(/[\r\n]+$/, '')],
  ];
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${path} cannot be read: ${fileFault(error)}`, { cause: error });
  }
}

/**
 * Replaces `${NAME}`; `$${NAME}` stands for the text itself. A variable that is not set becomes empty, with a warning,
 * but `${NONCE}` stays, because `server.headers.csp_template` has a meaning for it.
 */
function expandVariables(text: string, environment: Environment, warn: (message: string) => void): string {
  warn('the filter expand-env is deprecated: use the filter template, with {{ env "NAME" }}');
  return text.replaceAll(/\$?\$\{(\w+)\}/g, (whole, name: string) => {
    if (whole.startsWith('$$')) return whole.slice(1);
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined && name === 'NONCE') return whole;
    if (value === undefined)
      warn(`the filter expand-env found no environment variable ${name}; it became empty`);
    return value ?? '';
  });
}
