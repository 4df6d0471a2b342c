import { messageOf } from '../../../lib/message-of.ts';
import type { RedisLink } from '../../../lib/redis/link.ts';
import type { RedisCommand, RedisReply } from '../../../lib/redis.ts';
import type { DriverDeps } from '../../driver.ts';

/** Says what loses sessions in the server's own configuration, when it is reached for the first time. */
export async function inspectServer(link: RedisLink, { logger }: DriverDeps): Promise<void> {
  await link.firstConnection;
  const ask = async (...command: RedisCommand): Promise<RedisReply> =>
    (await link.send('write', [command]))[0] ?? null;
  const setting = async (name: string): Promise<unknown> => {
    const reply = await ask('CONFIG', 'GET', name);
    return reply !== null && typeof reply === 'object' && name in reply ? reply[name as never] : null;
  };
  try {
    const version = /^redis_version:((\d+)\.(\d+)\S*)/m.exec(String(await ask('INFO', 'server')));
    if (version && Number(version[2]) * 100 + Number(version[3]) < 602) {
      logger.warn({ version: version[1] }, 'Redis is too old for sessions: 6.2 or later is needed');
    }
    const policy = await setting('maxmemory-policy');
    if ((await setting('maxmemory')) !== '0' && policy !== 'noeviction') {
      logger.warn(
        { 'maxmemory-policy': policy },
        'Redis throws sessions away when its memory is full: set maxmemory-policy to noeviction',
      );
    }
    if ((await setting('save')) === '' && (await setting('appendonly')) === 'no') {
      logger.warn({}, 'Redis keeps nothing on disk: when it restarts all sessions are gone; see appendonly');
    }
  } catch (error) {
    logger.debug(
      { cause: messageOf(error) },
      'Redis does not tell its settings: what could lose sessions was not looked for',
    );
  }
}
