import { Agent, type ClientRequest, type IncomingMessage, request as sendHttp } from 'node:http';
import type { Duplex } from 'node:stream';
import { BodyCollector } from './body-collector.js';
import { CallFailure } from './call-failure.js';
import type { CallScope } from './call-scope.js';
import { ChunkQueue } from './chunk-queue.js';
import type { Link, WireAnswer, WireHead, WireRequest, WireStream } from './link.js';

const MAX_CONNECTIONS = 100;
const IDLE_CONNECTIONS = 8;
const IDLE_MS = 30_000;

/** Connections over HTTP/1.1 to an instance that speaks no HTTP/2: one for each call in progress. */
export class Http1Link implements Link {
  wasUsed = false;
  isUsable = true;
  private active = 0;
  private readonly agent: Agent;
  private readonly dropSpare: () => void;

  /**
   * @param first a connection that stands already.
   * @param dial opens another. When it fails the link is gone: it takes no further call.
   */
  constructor(
    private readonly authority: string,
    first: Duplex,
    dial: () => Promise<Duplex>,
    onGone: () => void,
  ) {
    let spare: Duplex | undefined = first;
    first.on('error', () => undefined);
    this.agent = new DiallingAgent(async () => {
      const standing = spare;
      spare = undefined;
      if (standing && !standing.destroyed) return standing;
      try {
        return await dial();
      } catch (error) {
        this.isUsable = false;
        onGone();
        throw error;
      }
    });
    this.dropSpare = () => spare?.destroy();
  }

  get hasRoom(): boolean {
    return this.active < MAX_CONNECTIONS;
  }

  send(request: WireRequest, maxBytes: number, scope: CallScope): Promise<WireAnswer> {
    return new Promise((resolve, reject) => {
      const collector = new BodyCollector(maxBytes);
      const sent = this.request(request, scope);
      const fail = (reason: Error): void => {
        reject(reason);
        sent.destroy();
      };
      sent.on('response', (response) => {
        const head = headOf(response);
        const failure = collector.begin(head.status, response.headers['content-length']);
        if (failure) fail(failure);
        response.on('data', (chunk: Uint8Array) => {
          const tooMuch = collector.add(chunk);
          if (tooMuch) fail(tooMuch);
        });
        response.on('error', () => undefined);
        response.once('end', () => resolve({ ...head, body: collector.takeBody() }));
      });
      sent.once('close', () => {
        reject(failureOf(sent));
        collector.drop();
      });
      scope.onEnd(fail);
    });
  }

  open(request: WireRequest, scope: CallScope): Promise<WireStream> {
    return new Promise((resolve, reject) => {
      const sent = this.request(request, scope);
      let chunks: ChunkQueue | undefined;
      sent.on('response', (response) => {
        chunks = new ChunkQueue({
          pause: () => void response.pause(),
          resume: () => void response.resume(),
          abandon: () => void sent.destroy(),
        });
        response.on('data', (chunk: Uint8Array) => chunks?.push(chunk));
        response.on('error', () => undefined);
        response.once('end', () => chunks?.end());
        resolve({ ...headOf(response), chunks });
      });
      sent.once('close', () => {
        chunks?.end(failureOf(sent));
        reject(failureOf(sent));
      });
      scope.onEnd((reason) => {
        chunks?.end(reason);
        reject(reason);
        sent.destroy();
      });
    });
  }

  retire(): void {
    this.isUsable = false;
    // Those in use close as their answer ends, because the agent keeps none.
    this.agent.maxFreeSockets = 0;
    this.dropSpare();
    for (const sockets of Object.values(this.agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  close(): void {
    this.isUsable = false;
    this.dropSpare();
    this.agent.destroy();
  }

  private request({ path, headers, body }: WireRequest, scope: CallScope): ClientRequest {
    const sent = sendHttp({
      agent: this.agent,
      method: 'POST',
      path,
      headers: { ...headers, host: this.authority, 'content-length': body.length },
      maxHeaderSize: 32 * 1024,
    });
    this.active += 1;
    // Told by `close`, which follows; kept for what it says.
    sent.on('error', (error: Error) => failures.set(sent, error));
    sent.once('socket', () => {
      scope.isSent = true;
      this.wasUsed = true;
    });
    sent.once('close', () => (this.active -= 1));
    sent.end(body);
    return sent;
  }
}

/** Dials through the egress policy. */
class DiallingAgent extends Agent {
  constructor(private readonly dial: () => Promise<Duplex>) {
    super({
      keepAlive: true,
      maxSockets: MAX_CONNECTIONS,
      maxFreeSockets: IDLE_CONNECTIONS,
      timeout: IDLE_MS,
      scheduling: 'lifo',
    });
  }

  override createConnection(_options: unknown, callback: Connected): undefined {
    void this.connect(callback);
  }

  private async connect(callback: Connected): Promise<void> {
    let socket: Duplex;
    try {
      socket = await this.dial();
    } catch (error) {
      // The type asks for a socket beside the error; node looks at the error alone.
      callback(error as Error, undefined as never);
      return;
    }
    callback(null, socket);
  }
}

type Connected = (error: Error | null, socket: Duplex) => void;

const failures = new WeakMap<ClientRequest, Error>();

function failureOf(sent: ClientRequest): CallFailure {
  const error = failures.get(sent);
  if (error instanceof CallFailure) return error;
  return new CallFailure('cut', 'the connection to it broke', { cause: error });
}

function headOf({ statusCode = 0, headers }: IncomingMessage): WireHead {
  return {
    status: statusCode,
    contentType: headers['content-type'] ?? '',
    encoding: headers['content-encoding'] ?? headers['connect-content-encoding']?.toString() ?? '',
  };
}
