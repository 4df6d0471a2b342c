import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A way to a loopback port that can be broken: what its client sees is a server or network that fails. */
export interface Relay {
  readonly port: number;
  /** Ends all connections and accepts no more. */
  cut(): Promise<void>;
  /** From now on nothing gets through in either direction, and nobody is told. */
  silence(): void;
  /** From now on everything takes longer, in each direction. */
  slow(how: { readonly delayMs?: number; readonly bytesPerSecond?: number }): void;
  /**
   * Lets `count` more pieces through in one direction (a piece: what is sent at one time), loses the next one, is silent
   * from then on and calls `lost`. With 'answers' the server has done what the client never hears of.
   */
  swallow(direction: 'requests' | 'answers', count: number, lost: () => void): void;
  /** Undoes everything; connections that were silent go on. New ones lead to `target` from now on. */
  heal(target?: number): Promise<void>;
  close(): Promise<void>;
}

export interface RelayOptions {
  /** Where it listens; default 127.0.0.1 and a free port. */
  readonly at?: { readonly host: string; readonly port: number };
  /** Answers say the second text where the server said the first one, as behind an address translation; of equal length. */
  readonly translates?: readonly [string, string];
}

export async function openRelay(port: number, { at, translates }: RelayOptions = {}): Promise<Relay> {
  const sockets = new Set<Socket>();
  let target = port;
  let isSilent = false;
  let delayMs = 0;
  let bytesPerSecond = Number.POSITIVE_INFINITY;
  let swallowing: { direction: 'requests' | 'answers'; count: number; lost: () => void } | null = null;
  const silence = (): void => {
    isSilent = true;
    for (const socket of sockets) socket.pause();
  };
  const isSwallowed = (direction: 'requests' | 'answers'): boolean => {
    if (swallowing?.direction !== direction || swallowing.count-- > 0) return false;
    const { lost } = swallowing;
    swallowing = null;
    silence();
    lost();
    return true;
  };
  const keep = (socket: Socket, direction: 'requests' | 'answers', other: () => Socket): void => {
    let waiting = 0;
    let free = 0;
    let last: Promise<void> = Promise.resolve();
    const later = (bytes: Buffer): void => {
      const now = performance.now();
      free = Math.max(free, now + delayMs) + (bytes.length / bytesPerSecond) * 1000;
      const due = free;
      waiting++;
      last = last.then(async () => {
        await pause(Math.max(0, due - performance.now()));
        waiting--;
        other().write(bytes);
      });
    };
    sockets.add(socket);
    socket.on('data', (sent: Buffer) => {
      if (isSwallowed(direction)) return;
      const bytes = direction === 'answers' && translates ? translated(sent, translates) : sent;
      if (waiting > 0 || delayMs > 0 || Number.isFinite(bytesPerSecond)) later(bytes);
      else other().write(bytes);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      other().destroy();
    });
    if (isSilent) socket.pause();
  };
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    keep(near, 'requests', () => far);
    keep(far, 'answers', () => near);
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, at?.host ?? '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const cut = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const ownPort = await listen(at?.port ?? 0);
  return {
    port: ownPort,
    cut,
    silence,
    slow(how) {
      delayMs = how.delayMs ?? 0;
      bytesPerSecond = how.bytesPerSecond ?? Number.POSITIVE_INFINITY;
    },
    swallow(direction, count, lost) {
      swallowing = { direction, count, lost };
    },
    async heal(next = target) {
      target = next;
      isSilent = false;
      delayMs = 0;
      bytesPerSecond = Number.POSITIVE_INFINITY;
      swallowing = null;
      for (const socket of sockets) socket.resume();
      if (!server.listening) await listen(ownPort);
    },
    close: cut,
  };
}

function translated(bytes: Buffer, [from, to]: readonly [string, string]): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1');
}
