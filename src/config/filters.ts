import type { Problem } from './problem.ts';

/** The text after every filter, or null with problems. */
export function applyFilters(text: string, file: string, source: { readonly filters: readonly string[] }): { text: string | null; problems: Problem[] } {
  return source.filters.length === 0 ? { text, problems: [] } : { text: null, problems: [{ severity: 'error', key: '', message: 'has no filters', file }] };
}
