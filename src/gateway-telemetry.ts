import type { Server } from 'node:net';

import type { Configuration } from './config/schema.ts';
import { createEvents, type Events } from './events.ts';
import { createGatewayMetrics } from './events/gateway-metrics.ts';
import { meterRequests } from './events/meter-requests.ts';
import type { GatewayStorage } from './gateway-storage.ts';
import { listenAddressOf } from './http/listen-on.ts';
import { createMetricsListener, type MetricsListener } from './http/metrics-listener.ts';
import { noRequestMeter, type RequestMeter } from './http/request-meter.ts';
import { formatAddress } from './lib/address.ts';
import { type Clock, systemStopwatch } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import type { MetricFamily } from './lib/metrics.ts';
import { systemTimers } from './lib/timers.ts';
import { version } from './lib/version.ts';
import type { StoreMeter } from './sessions/metered-store.ts';
import { createAuditLog } from './storage/audit-log.ts';
import { createAuditWriter } from './storage/audit-writer.ts';
import { createMailQueue } from './storage/mail-queue.ts';
import type { UserBackend } from './users/backend.ts';

/** The wiring of what is told of the gateway: log, metrics, audit log. */
export interface GatewayTelemetry {
  readonly events: Events;
  readonly requestMeter: RequestMeter;
  /** Null when nobody reads metrics. */
  readonly storeMeter: StoreMeter | null;
  /** The same backend, with its password checks timed. */
  timed(users: UserBackend): UserBackend;
  /** The storage is open: audit records that waited for it are written from now on. */
  watch(kept: GatewayStorage | null): void;
  /** All metrics, looked up now. */
  read(): Promise<readonly MetricFamily[]>;
  /** The listener of this process; null when metrics are off, or are read by the first of several processes. */
  readonly server: Server | null;
  listen(): Promise<void>;
  /** Writes the audit records that wait. Before the storage is closed. */
  close(): Promise<void>;
}

/** Milliseconds for the audit records that wait when the process ends. */
const CLOSE_DEADLINE = 1500;

export function createGatewayTelemetry(
  config: Configuration,
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
): GatewayTelemetry {
  const metrics = createGatewayMetrics();
  const { enabled } = config.telemetry.metrics;
  const now = (): number => clock.now();
  const audit = config.storage
    ? createAuditWriter({
        timers: systemTimers,
        clock,
        onLost: (records, why, error) => events.auditLost(records, why, error),
      })
    : null;
  const events = createEvents(logger, { now, metrics, audit });

  metrics.storeUp.of({}).value = 1;
  metrics.build.of({ version, node: process.versions.node }).value = 1;
  metrics.startTime.of({}).value = Math.round(now() / 1000 - process.uptime());
  let utilization = performance.eventLoopUtilization();
  metrics.registry.beforeReading(() => {
    const { user, system } = process.cpuUsage();
    metrics.cpuSeconds.of({}).value = (user + system) / 1e6;
    metrics.memory.of({}).value = process.memoryUsage.rss();
    const before = utilization;
    utilization = performance.eventLoopUtilization();
    metrics.busy.of({}).value = performance.eventLoopUtilization(utilization, before).utilization;
    if (audit) metrics.auditWaiting.of({}).value = audit.waiting;
  });

  const read = (): Promise<readonly MetricFamily[]> => metrics.registry.read();
  const listener =
    enabled && config.server.workers === 1 ? openMetricsListener(config, { read, logger }) : null;

  return {
    events,
    requestMeter: enabled ? meterRequests(metrics, systemStopwatch) : noRequestMeter,
    storeMeter: enabled
      ? (operation, seconds, success) => {
          metrics.storeSeconds.of({ operation }).observe(seconds);
          if (!success) metrics.storeFailures.of({ operation }).value++;
        }
      : null,

    timed: (users) => ({
      ...users,
      async checkPassword(...args) {
        const began = systemStopwatch.now();
        const result = await users.checkPassword(...args);
        const success = String(result.status === 'success');
        metrics.authnSeconds.of({ success }).observe((systemStopwatch.now() - began) / 1000);
        return result;
      },
    }),

    watch(kept) {
      if (!kept) return;
      const { storage, mail } = kept;
      audit?.start(createAuditLog(storage));
      metrics.registry.beforeReading(async () => {
        metrics.storageUp.of({}).value = await storage.database.ping().then(
          () => 1,
          () => 0,
        );
      });
      if (!mail) return;
      metrics.mailServerUp.of({}).value = 1;
      const queue = createMailQueue(storage);
      metrics.registry.beforeReading(async () => {
        metrics.mailWaiting.of({}).value = await queue.count();
      });
    },

    read,
    server: listener?.server ?? null,
    listen: async () => {
      if (listener) await listenForMetrics(listener, config);
    },
    async close() {
      await audit?.close(CLOSE_DEADLINE);
      await listener?.close();
    },
  };
}

export function openMetricsListener(
  { telemetry: { metrics } }: Configuration,
  { read, logger }: { readonly read: () => Promise<readonly MetricFamily[]>; readonly logger: Logger },
): MetricsListener {
  const { address, buffers, timeouts } = metrics;
  return createMetricsListener(
    {
      path: address.path === '/' ? '/metrics' : address.path,
      maxHeaderSize: buffers.read,
      readTimeout: timeouts.read,
      writeTimeout: timeouts.write,
      idleTimeout: timeouts.idle,
    },
    { read, onError: (error) => logger.error({ error }, 'metrics cannot be served') },
  );
}

/** Rejects with what is in the way, and the key. */
export async function listenForMetrics(listener: MetricsListener, config: Configuration): Promise<void> {
  const { address } = config.telemetry.metrics;
  try {
    await listener.listen(listenAddressOf(address));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `telemetry.metrics.address: cannot listen on ${formatAddress(address)} (${code}); choose another address, or switch telemetry.metrics.enabled off`,
      { cause: error },
    );
  }
}
