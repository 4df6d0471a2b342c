import type { Engine } from '../dialect.ts';

/**
 * A column: `id` (a number that the engine gives out, the primary key), `text(n)` of at most n characters, `long text`,
 * `time` (milliseconds), `integer`, `bytes`. With `?` it may be null.
 */
export type ColumnText =
  | 'id'
  | `${`text(${number})` | 'long text' | 'time' | 'integer' | 'bytes'}${'' | '?'}`;

export interface TableDefinition {
  readonly name: string;
  readonly columns: Readonly<Record<string, ColumnText>>;
  /** Not with a column `id`. */
  readonly primaryKey?: readonly string[];
  readonly indexes?: readonly (readonly string[])[];
}

/** Writes definitions in an engine's words. Each statement may be run again without harm. */
export interface SchemaWriter {
  readonly engine: Engine;
  createTable(definition: TableDefinition): readonly string[];
  dropTable(name: string): readonly string[];
}

export interface WriterOptions {
  readonly engine: Engine;
  readonly schema?: string | undefined;
  readonly tableSuffix: string;
}

type Types = Readonly<
  Record<'id' | 'text' | 'long text' | 'time' | 'integer' | 'bytes', (size: string) => string>
>;

const types: Readonly<Record<Engine, Types>> = {
  sqlite: {
    id: () => 'integer primary key autoincrement',
    text: () => 'text',
    'long text': () => 'text',
    time: () => 'integer',
    integer: () => 'integer',
    bytes: () => 'blob',
  },
  postgres: {
    id: () => 'bigint generated always as identity primary key',
    text: () => 'text',
    'long text': () => 'text',
    time: () => 'bigint',
    integer: () => 'integer',
    bytes: () => 'bytea',
  },
  mysql: {
    id: () => 'bigint auto_increment primary key',
    text: (size) => `varchar(${size})`,
    'long text': () => 'mediumtext',
    time: () => 'bigint',
    integer: () => 'int',
    bytes: () => 'mediumblob',
  },
};

/** Names are ours and need no quotes, but for the schema. */
export function createSchemaWriter({ engine, schema, tableSuffix }: WriterOptions): SchemaWriter {
  const tableOf = (name: string): string =>
    schema === undefined ? name : `"${schema.replaceAll('"', '""')}".${name}`;
  const columnOf = (name: string, text: ColumnText): string => {
    const [, kind = '', size = '', mark] = /^([a-z ]+)(?:\((\d+)\))?(\?)?$/.exec(text) ?? [];
    const type = types[engine][kind as keyof Types](size);
    return `${name} ${type}${kind === 'id' || mark === '?' ? '' : ' not null'}`;
  };
  return {
    engine,
    createTable({ name, columns, primaryKey, indexes = [] }) {
      const indexName = (index: readonly string[]): string => `${name}_${index.join('_')}`;
      const lines = [
        ...Object.entries(columns).map(([column, text]) => columnOf(column, text)),
        ...(primaryKey === undefined ? [] : [`primary key (${primaryKey.join(', ')})`]),
        ...(engine === 'mysql'
          ? indexes.map((index) => `index ${indexName(index)} (${index.join(', ')})`)
          : []),
      ];
      const table = `create table if not exists ${tableOf(name)} (\n  ${lines.join(',\n  ')}\n)${tableSuffix}`;
      if (engine === 'mysql') return [table];
      return [
        table,
        ...indexes.map(
          (index) =>
            `create index if not exists ${indexName(index)} on ${tableOf(name)} (${index.join(', ')})`,
        ),
      ];
    },
    dropTable: (name) => [`drop table if exists ${tableOf(name)}`],
  };
}
