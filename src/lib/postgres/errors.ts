/** No server that takes writes can be reached, or it did not answer in time. A statement may still have happened. */
export class PostgresUnavailable extends Error {
  override name = 'PostgresUnavailable';
}

/** What is wrong with the settings, by the key that has to be mended. */
export type PostgresSetting = 'username' | 'password' | 'database' | 'tls';

/** A server that is there refuses us, and will until somebody mends the setting. */
export class PostgresRefused extends Error {
  override name = 'PostgresRefused';
  readonly setting: PostgresSetting;

  constructor(setting: PostgresSetting, message: string, options?: ErrorOptions) {
    super(message, options);
    this.setting = setting;
  }
}

/** The SQLSTATE of an error that the server sent (PostgreSQL, appendix A), or the code of the operating system; else ''. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
