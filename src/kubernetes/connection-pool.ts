import { abortable } from '../runtime/abortable.js';
import { type ApiConnection, ConnectionCut } from './api-connection.js';

/** A server's 101st stream hangs without an error, so 20 of its 100 are left as a margin. */
export const WATCHES_PER_CONNECTION = 80;

/** A server that ends each connection at once is not dialled for ever. */
const MAX_TRIES = 4;

/** A place on a connection; `release` is idempotent. */
export interface Lease {
  readonly connection: ApiConnection;
  /** Whether others used the connection before: it may have broken unnoticed. */
  readonly reused: boolean;
  release(): void;
}

/** A connection being dialled or in use, with the watches that have a place on it. */
interface Line {
  readonly dialled: Promise<ApiConnection>;
  connection?: ApiConnection;
  watches: number;
}

/**
 * The connections to one API server: one for short calls, which watches never occupy, and as many as the watches need.
 * They are dialled on demand; one of watches is closed with its last watch.
 */
export class ConnectionPool {
  private readonly open = new Set<ApiConnection>();
  private readonly dialling = new Set<Promise<void>>();
  private readonly abort = new AbortController();
  private calls: Promise<ApiConnection> | undefined;
  private lines: Line[] = [];

  constructor(private readonly dial: (signal: AbortSignal) => Promise<ApiConnection>) {}

  /** Connections that exist, for metrics and tests. */
  get size(): number {
    return this.open.size;
  }

  async forCall(signal: AbortSignal): Promise<Lease> {
    let tries = 0;
    while (tries < MAX_TRIES) {
      const reused = this.calls !== undefined;
      const current = this.calls ?? this.connectForCalls();
      const connection = await abortable(current, signal);
      // A connection for one exchange belongs to whoever is first here of those that have waited for it.
      const taken = connection.capacity === 1 && this.calls !== current;
      if (connection.capacity === 1 || !connection.isUsable) this.forgetCalls(current);
      if (taken) continue;
      if (connection.isUsable) return { connection, reused, release: () => undefined };
      tries += 1;
    }
    throw endedAtOnce();
  }

  async forWatch(signal: AbortSignal): Promise<Lease> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const line = this.reserve();
      try {
        const connection = await abortable(line.dialled, signal);
        // The place was taken before the server's limit was known, or the connection has begun to end meanwhile.
        if (connection.isUsable && line.watches <= limitOf(line)) return this.lease(line, connection);
      } catch (error) {
        this.release(line);
        throw error;
      }
      this.release(line);
    }
    throw endedAtOnce();
  }

  /** Ends everything with this reason; resolves when no socket is left. */
  async close(reason: Error): Promise<void> {
    this.abort.abort(reason);
    await Promise.all(this.dialling);
    await Promise.all([...this.open].map((connection) => connection.close()));
  }

  private connectForCalls(): Promise<ApiConnection> {
    const dialled = this.connect();
    this.calls = dialled;
    dialled.catch(() => this.forgetCalls(dialled));
    return dialled;
  }

  private connect(): Promise<ApiConnection> {
    const dialled = this.dialOne();
    const settled = dialled.then(
      () => undefined,
      () => undefined,
    );
    this.dialling.add(settled);
    void settled.then(() => this.dialling.delete(settled));
    return dialled;
  }

  private async dialOne(): Promise<ApiConnection> {
    this.abort.signal.throwIfAborted();
    const connection = await this.dial(this.abort.signal);
    this.open.add(connection);
    void connection.gone.then(() => this.open.delete(connection));
    return connection;
  }

  private forgetCalls(connection: Promise<ApiConnection>): void {
    if (this.calls === connection) this.calls = undefined;
  }

  private reserve(): Line {
    this.lines = this.lines.filter((line) => line.watches > 0 || line.connection?.isUsable);
    let line = this.lines.find((each) => each.watches < limitOf(each) && (each.connection?.isUsable ?? true));
    if (!line) {
      const created: Line = { dialled: this.connect(), watches: 0 };
      created.dialled.then(
        (connection) => (created.connection = connection),
        () => (this.lines = this.lines.filter((each) => each !== created)),
      );
      this.lines.push(created);
      line = created;
    }
    line.watches += 1;
    return line;
  }

  private lease(line: Line, connection: ApiConnection): Lease {
    let released = false;
    return {
      connection,
      reused: line.watches > 1,
      release: () => {
        if (!released) this.release(line);
        released = true;
      },
    };
  }

  private release(line: Line): void {
    line.watches -= 1;
    if (line.watches > 0) return;
    this.lines = this.lines.filter((each) => each !== line);
    void line.dialled.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }
}

function limitOf(line: Line): number {
  return Math.min(WATCHES_PER_CONNECTION, line.connection?.capacity ?? WATCHES_PER_CONNECTION);
}

function endedAtOnce(): ConnectionCut {
  return new ConnectionCut('the server ends each connection at once', true);
}
