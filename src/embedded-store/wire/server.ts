import { chmodSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import type { Clock } from '../../runtime/clock.js';
import { Connection, type ConnectionOptions } from './connection.js';

/** The driver's pool holds 100 by default; a connection above this number is closed at once. */
const MAX_CONNECTIONS = 500;

/** Listens on a unix socket that only this user may open. */
export class WireServer {
  private readonly server: Server;
  private readonly connections = new Set<Connection>();

  constructor(clock: Clock, execute: ConnectionOptions['execute'], onMalformed: ConnectionOptions['onMalformed']) {
    this.server = createServer((socket) => {
      const connection: Connection = new Connection({
        socket,
        clock,
        execute,
        onMalformed,
        onClose: () => this.connections.delete(connection),
      });
      this.connections.add(connection);
    });
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(path, () => {
        // The folder is 0700 already; this is for those who read the socket's own mode.
        chmodSync(path, 0o600);
        resolve();
      });
    });
  }

  /** Resolves when no connection is left; the socket file is gone then. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      for (const connection of this.connections) connection.close();
    });
  }
}
