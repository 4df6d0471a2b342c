/** Configuration from environment variables, and from the files that `…_FILE` variables name. */
import { readFileSync } from 'node:fs';
import { nearestWord } from '../lib/nearest-word.ts';
import { deprecatedPaths } from './deprecated.ts';
import { fileFault } from './file-fault.ts';
import { leavesOf, type Outline } from './outline.ts';
import type { Problem } from './problem.ts';
import { findTree, keyText, type MapTree, type Origin, putEntry, type Tree } from './tree.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const prefixes = ['SALLYPORT_', 'AUTHELIA_'];
/** Variables with the prefix that are no keys. */
const others = /^SALLYPORT_(?:NODE|CONFIG)(?:_|$)/;
/** What Kubernetes sets for a Service named like us: `SALLYPORT_SERVICE_HOST`, `SALLYPORT_PORT=tcp://10.0.0.1:9091`. */
const serviceLink = /^(?:SERVICE_(?:HOST|PORT)(?:_|=)|PORT_\d+_(?:TCP|UDP)(?:_|=)|PORT=(?:tcp|udp):\/\/)/;
const secretEnding = /(?:^|_)(?:keys?|secrets?|password|token|certificate_chain)$/;
const noSecrets =
  /^(?:server\.tls\.key|tls_key|authentication_backend\.disable_reset_password|identity_providers\.oidc\.lifespans\..*)$/;

interface Settable {
  readonly path: readonly string[];
  readonly isList: boolean;
  readonly isSecret: boolean;
}

/** By the name without prefix: `SESSION_REDIS_HOST`. */
function settables(outline: Outline): Map<string, Settable> {
  const found = new Map<string, Settable>();
  const add = (path: readonly string[], isList: boolean): void => {
    found.set(path.join('_').toUpperCase(), { path, isList, isSecret: isSecretPath(path) });
  };
  for (const path of deprecatedPaths) add(path, false);
  for (const leaf of leavesOf(outline)) add(leaf.path, leaf.outline.kind === 'list');
  return found;
}

/** True when the value of this key can come from a `…_FILE` variable. */
export function isSecretPath(path: readonly string[]): boolean {
  return secretEnding.test(path.at(-1) ?? '') && !noSecrets.test(path.join('.'));
}

/** Lays the variables over `tree`. An empty variable counts as absent. */
export function applyVariables(tree: MapTree, environment: Environment, outline: Outline): Problem[] {
  const problems: Problem[] = [];
  const report = (severity: Problem['severity'], key: string, message: string): void => {
    problems.push({ severity, key, message });
  };
  const known = settables(outline);
  const given = new Map<Settable, { variable: string; text: string; isFile: boolean }>();
  for (const variable of Object.keys(environment).toSorted()) {
    const text = environment[variable];
    const prefix = prefixes.find((one) => variable.startsWith(one));
    if (prefix === undefined || text === undefined || text === '' || others.test(variable)) continue;
    const name = variable.slice(prefix.length);
    if (serviceLink.test(`${name}=${text}`)) continue;
    const direct = known.get(name);
    const fromFile = name.endsWith('_FILE') ? known.get(name.slice(0, -'_FILE'.length)) : undefined;
    const target = direct ?? fromFile;
    if (target === undefined) {
      const near = nearestWord(name, known.keys());
      report(
        'warning',
        '',
        `environment variable ${variable} names no key and is ignored${near === null ? '' : `; did you mean ${prefix}${near}?`}`,
      );
      continue;
    }
    if (direct === undefined && !target.isSecret) {
      report(
        'error',
        keyText(target.path),
        `is not a secret and cannot be read from a file: set ${variable.slice(0, -'_FILE'.length)}, not ${variable}`,
      );
      continue;
    }
    const before = given.get(target);
    if (before !== undefined && (before.isFile || direct === undefined || before.text !== text)) {
      report(
        'error',
        keyText(target.path),
        `is given by two environment variables, ${before.variable} and ${variable}: keep one`,
      );
      continue;
    }
    given.set(target, { variable, text, isFile: direct === undefined });
  }
  for (const [{ path, isList }, { variable, text, isFile }] of given) {
    const origin: Origin = {
      name: isFile ? `secret file ${text} (${variable})` : `environment variable ${variable}`,
    };
    if (isFile && hasValue(findTree(tree, path))) {
      const where = findTree(tree, path)?.origin.name;
      report('error', keyText(path), `is given twice: in the file of ${variable} and in ${where}; keep one`);
      continue;
    }
    const content = isFile ? readSecret(text) : text;
    if (content instanceof Error) {
      report(
        'error',
        keyText(path),
        `cannot be read from the file of ${variable}, ${text}: ${content.message}`,
      );
      continue;
    }
    const value: Tree = isList
      ? {
          kind: 'list',
          origin,
          items: itemsOf(content, isFile).map((item) => ({ kind: 'scalar', origin, value: item })),
        }
      : { kind: 'scalar', origin, value: content };
    if (!putEntry(tree, path, { key: origin, value }))
      report('error', keyText(path), `cannot be set by ${variable}: a key above it is no map`);
  }
  return problems;
}

/** A variable separates the items of a list with commas, a secret file has one a line. */
function itemsOf(content: string, isFile: boolean): string[] {
  const items = content.split(isFile ? /\r?\n/ : ',').map((item) => item.trim());
  return isFile ? items.filter((item) => item !== '') : items;
}

function hasValue(tree: Tree | undefined): boolean {
  return tree !== undefined && !(tree.kind === 'scalar' && tree.value === null);
}

function readSecret(file: string): string | Error {
  try {
    return readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
  } catch (error) {
    return new Error(fileFault(error));
  }
}
