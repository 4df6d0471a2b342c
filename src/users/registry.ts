import { openFileBackend } from './drivers/file.ts';

/** The user backends by name. A driver is one file and one line here; the contract suite finds it by itself. */
export const userBackends = { file: openFileBackend } as const;
