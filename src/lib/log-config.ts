import { choice, flag, path, section } from './schema.ts';

/** `log` */
export const logSchema = section({
  level: choice('trace', 'debug', 'info', 'warn', 'error')
    .prefault('info')
    .describe('Least severe messages that are written.'),
  format: choice('text', 'json').prefault('text').describe('Lines for people, or one JSON object a line.'),
  file_path: path()
    .optional()
    .describe(
      'Writes to this file (mode 0600). `%d` or `{datetime:<layout>}` stands for the time of opening.',
    ),
  keep_stdout: flag().prefault(false).describe('Writes to the standard output too when `file_path` is set.'),
});
