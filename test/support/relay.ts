import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a loopback port that can be broken: what its client sees is a server or network that fails. */
export interface Relay {
  readonly port: number;
  /** Ends all connections and accepts no more. */
  cut(): Promise<void>;
  /** From now on nothing gets through in either direction, and nobody is told. */
  silence(): void;
  /** Undoes `cut` and `silence`; connections that were silent go on. New ones lead to `target` from now on. */
  heal(target?: number): Promise<void>;
  close(): Promise<void>;
}

export async function openRelay(port: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let target = port;
  let isSilent = false;
  const keep = (socket: Socket, other: () => Socket): void => {
    sockets.add(socket);
    socket.on('data', (bytes) => other().write(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      other().destroy();
    });
    if (isSilent) socket.pause();
  };
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    keep(near, () => far);
    keep(far, () => near);
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1');
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
  const ownPort = await listen(0);
  return {
    port: ownPort,
    cut,
    silence() {
      isSilent = true;
      for (const socket of sockets) socket.pause();
    },
    async heal(next = target) {
      target = next;
      isSilent = false;
      for (const socket of sockets) socket.resume();
      if (!server.listening) await listen(ownPort);
    },
    close: cut,
  };
}
