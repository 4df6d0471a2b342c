import type { Server } from 'node:net';

import type { Address } from '../lib/address.ts';

export type ListenAddress =
  | {
      readonly host?: string;
      readonly port: number;
      readonly reusePort?: boolean;
      readonly exclusive?: boolean;
    }
  | { readonly path: string; readonly umask?: number }
  | { readonly fd: number };

/** Resolves when the server listens; `onError` is told of what fails later. */
export function listenOn(
  server: Server,
  address: ListenAddress,
  onError: (error: unknown) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made before `listen` returns.
    const umask = 'umask' in address ? address.umask : undefined;
    const before = umask === undefined ? null : process.umask(umask);
    server.listen(address, () => {
      server.off('error', reject);
      server.on('error', onError);
      resolve();
    });
    if (before !== null) process.umask(before);
  });
}

/** `isShared`: several processes listen on the port side by side, and the kernel spreads connections; a socket they share. */
export function listenAddressOf(address: Address, isShared = false): ListenAddress {
  if (address.socketPath !== undefined) {
    return { path: address.socketPath, ...(address.umask !== undefined && { umask: address.umask }) };
  }
  if (address.scheme === 'fd') return { fd: Number(address.host) };
  const beside = isShared ? { reusePort: true, exclusive: true } : {};
  return { port: address.port, ...(address.host !== '' && { host: address.host }), ...beside };
}
