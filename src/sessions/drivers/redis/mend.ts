import { SentinelTrouble } from '../../../lib/redis/sentinels.ts';
import { redisErrorCode } from '../../../lib/redis.ts';
import type { RedisConfig } from './config.ts';

/** What to mend in the configuration, or null when the trouble may pass by itself. */
export function mendOf(trouble: Error, config: RedisConfig): string | null {
  const error =
    trouble instanceof SentinelTrouble && trouble.cause instanceof Error ? trouble.cause : trouble;
  const isSentinel = trouble instanceof SentinelTrouble;
  const code = redisErrorCode(error) ?? '';
  const [who, username, password] = isSentinel
    ? (['Sentinel', 'high_availability.sentinel_username', 'high_availability.sentinel_password'] as const)
    : (['Redis', 'username', 'password'] as const);
  if (isSentinel && trouble.isUnknownMaster) {
    return `session.redis.high_availability.sentinel_name: the sentinels watch no master '${config.high_availability?.sentinel_name}'; see \`sentinel monitor\` in their configuration`;
  }
  if (
    code === 'WRONGPASS' ||
    code === 'NOAUTH' ||
    / invalid password$|without any password/.test(error.message)
  ) {
    return `session.redis.${password}: ${who} refused it (${code}); check session.redis.${username} and session.redis.${password}`;
  }
  if (code === 'NOPERM') {
    return `session.redis.${username}: ${who} does not allow this user what sessions need (${error.message})`;
  }
  if (code === 'MOVED' || code === 'CROSSSLOT' || code === 'CLUSTERDOWN') {
    return `session.redis.host: this server belongs to a Redis Cluster, which cannot keep sessions (${code}); name a single server, or sentinels in session.redis.high_availability`;
  }
  if (/unknown command/i.test(error.message)) {
    return `session.redis.host: sessions need Redis 6.2 or later, or Valkey (${error.message.trim()})`;
  }
  if (/DB index is out of range/.test(error.message)) {
    return `session.redis.database_index: Redis has no database ${config.database_index}; see \`databases\` in its configuration`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `session.redis.tls.server_name: the certificate of ${who} is for other names (${error.message})`;
  }
  if (
    /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_SSL_|ERR_OSSL_|EPROTO)/.test(
      code,
    )
  ) {
    return `session.redis.tls: no TLS connection to ${who} (${code}); check the certificate, the versions and the authorities that are trusted`;
  }
  return null;
}
