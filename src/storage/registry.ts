import { mysqlDialect } from './dialects/mysql.ts';
import { postgresDialect } from './dialects/postgres.ts';
import { sqliteDialect } from './dialects/sqlite.ts';

/** The database engines by their key in `storage`. A dialect is one file and one line here; the contract suite finds it. */
export const storageDialects = {
  local: sqliteDialect,
  mysql: mysqlDialect,
  postgres: postgresDialect,
} as const;
