import { listFiles, readText } from './files.ts';
import { applyFilters, checkFilters } from './filters.ts';
import type { Problem } from './problem.ts';

export interface FilteredText {
  readonly file: string;
  readonly text: string;
}

/** Reads every file of a source and passes it through the filters. A file with an error is left out. */
export function filterFiles(source: {
  readonly files: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly filters: readonly string[];
}): { readonly texts: readonly FilteredText[]; readonly problems: readonly Problem[] } {
  const { files, problems: missing } = listFiles(source.files);
  const problems: Problem[] = [...checkFilters(source.filters), ...missing];
  const texts: FilteredText[] = [];
  for (const file of files) {
    const text = readText(file);
    if (text instanceof Error) {
      problems.push({ severity: 'error', key: '', message: text.message, file });
      continue;
    }
    const filtered = applyFilters(text, file, source);
    problems.push(...filtered.problems);
    if (filtered.text !== null) texts.push({ file, text: filtered.text });
  }
  return { texts, problems };
}
