import type { Storage } from './storage.ts';
import { upsert } from './upsert.ts';

/** What people chose for themselves. Only a wish: what is enrolled decides. */
export interface Preferences {
  /** As Authelia spells it: `totp`, `webauthn`, `mobile_push`; null: nothing chosen. */
  findSecondFactorMethod(username: string): Promise<string | null>;
  setSecondFactorMethod(username: string, method: string): Promise<void>;
}

export function createPreferences({ database }: Pick<Storage, 'database'>): Preferences {
  return {
    async findSecondFactorMethod(username) {
      const row = await database.sql
        .selectFrom('sallyport_preferences')
        .select('second_factor_method')
        .where('username', '=', username)
        .executeTakeFirst();
      return row?.second_factor_method ?? null;
    },
    setSecondFactorMethod: (username, method) =>
      upsert(database, 'sallyport_preferences', { username }, { second_factor_method: method }),
  };
}
