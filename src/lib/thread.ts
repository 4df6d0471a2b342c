/**
 * The address of a worker thread's module. A thread is written as `<name>-thread.ts` beside its user; the build bundles
 * each such file as its own entry beside `main.js`, so it is found in both places by name alone.
 * `importMetaUrl` is the caller's `import.meta.url`.
 */
export function threadUrl(name: string, importMetaUrl: string): URL {
  const extension = new URL(importMetaUrl).pathname.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./${name}.${extension}`, importMetaUrl);
}
