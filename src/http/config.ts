import { listenerRules } from '../lib/address.ts';
import { address, duration, flag, integer, list, network, path, section, text } from '../lib/schema.ts';

const buffers = section({
  read: integer(1)
    .prefault(4096)
    .describe('Bytes for reading a request. At least 32 KiB of headers are accepted in any case.'),
  write: integer(1).prefault(4096).describe('Bytes for writing an answer. Not used.'),
}).prefault({});

const timeouts = section({
  read: duration()
    .prefault('6s')
    .describe(
      'How long a client may take to send a request. Not used: 10 s are granted for the headers and 15 s for all of it.',
    ),
  write: duration().prefault('6s').describe('How long sending the answer may take. Not used.'),
  idle: duration()
    .prefault('30s')
    .describe(
      'How long a connection is kept without a request; at least 120 s, since a proxy must be the first to close it.',
    ),
}).prefault({});

/** Every key of `server` but `endpoints`, which the root of the configuration adds. */
export const serverShape = {
  address: address(listenerRules(9091))
    .prefault('tcp://:9091/')
    .describe('Where to listen: `tcp://host:port/path`, `unix:///path?umask=0022&path=segment` or `fd://3`.'),
  trusted_proxies: list(network())
    .optional()
    .describe(
      'Addresses of your reverse proxies (IP or CIDR). Only they may ask for a decision, and `X-Forwarded-For` is read from the right past them. Absent: loopback and private networks may ask, and exactly one hop is believed.',
    ),
  asset_path: path().optional().describe('Folder with your own `favicon.ico`, `logo.png` and `locales/`.'),
  workers: integer(1, 256)
    .prefault(1)
    .describe(
      'Processes that serve at the same time on one port. More than one needs sessions that they can share (`session.redis` or `session.postgres`).',
    ),
  disable_healthcheck: flag()
    .prefault(false)
    .describe('Switches off the health check of the container image.'),
  tls: section({
    certificate: path().optional().describe('Certificate with its chain, PEM.'),
    key: path().optional().describe('Private key of the certificate, PEM.'),
    client_certificates: list(path())
      .prefault([])
      .describe('CA certificates; when given, every client must show a certificate of one of them.'),
  })
    .superRefine((tls, context) => {
      const problem = (key: string, message: string): void =>
        context.addIssue({ code: 'custom', path: [key], message });
      if (tls.certificate !== undefined && tls.key === undefined)
        problem('key', 'is required with certificate');
      if (tls.key !== undefined && tls.certificate === undefined)
        problem('certificate', 'is required with key');
      if (tls.client_certificates.length > 0 && tls.certificate === undefined)
        problem('certificate', 'is required with client_certificates');
    })
    .prefault({})
    .describe('TLS of the listener: both files or none.'),
  headers: section({
    csp_template: text()
      .optional()
      .describe('Whole Content-Security-Policy of the portal pages; `${NONCE}` stands for a fresh nonce.'),
  })
    .prefault({})
    .describe('Headers of the portal.'),
  buffers: buffers.describe('Buffers of the listener.'),
  timeouts: timeouts.describe('Time limits of the listener.'),
};

/** `certificates_directory` */
export const certificatesDirectorySchema = path()
  .optional()
  .describe(
    'Folder with CA certificates (`.pem`, `.crt`, `.cer`) that are trusted besides those of the system.',
  );

/** `telemetry` */
export const telemetrySchema = section({
  metrics: section({
    enabled: flag()
      .prefault(false)
      .describe('Serves metrics for Prometheus, on a listener of their own; see docs/metrics.md.'),
    address: address(listenerRules(9959))
      .prefault('tcp://:9959/metrics')
      .describe(
        'Where metrics are served. Nobody is asked who he is: let only the inner network reach it, or take `tcp://127.0.0.1:9959/metrics`.',
      ),
    buffers: section({
      read: integer(1024).prefault(4096).describe('Bytes of request headers that are accepted.'),
      write: integer(1).prefault(4096).describe('Bytes for writing an answer. Not used.'),
    })
      .prefault({})
      .describe('Buffers of this listener.'),
    timeouts: section({
      read: duration().prefault('6s').describe('How long a client may take to send a request.'),
      write: duration().prefault('6s').describe('How long sending the answer may take.'),
      idle: duration().prefault('30s').describe('How long a connection is kept without a request.'),
    })
      .prefault({})
      .describe('Time limits of this listener.'),
  })
    .prefault({})
    .describe('Prometheus metrics.'),
}).describe('Metrics.');
