import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { type ApiConnection, ConnectionCut, type Exchange, type ExchangeRequest } from './api-connection.js';

/** For servers and load balancers that do not speak HTTP/2: carries one exchange and ends with it. */
export class Http1Connection implements ApiConnection {
  readonly capacity = 1;
  readonly gone: Promise<void>;
  private used = false;

  constructor(
    private readonly socket: TLSSocket,
    private readonly authority: string,
  ) {
    socket.on('error', () => undefined);
    this.gone = new Promise((resolve) => {
      if (socket.closed) resolve();
      else socket.once('close', () => resolve());
    });
  }

  get isUsable(): boolean {
    return !this.used && !this.socket.destroyed;
  }

  send(request: ExchangeRequest): Promise<Exchange> {
    this.used = true;
    return new Promise((resolve, reject) => {
      request.signal.throwIfAborted();
      const outgoing = httpRequest({
        createConnection: () => this.socket,
        method: request.method,
        path: request.path,
        headers: {
          ...request.headers,
          host: this.authority,
          ...(request.body === undefined ? {} : { 'content-length': request.body.length }),
        },
        signal: request.signal,
        maxHeaderSize: 64 * 1024,
      });
      outgoing.once('response', (incoming: IncomingMessage) => {
        incoming.on('error', () => undefined);
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: incoming,
          isComplete: () => incoming.complete,
        });
      });
      outgoing.on('error', (error) => {
        if (request.signal.aborted) reject(request.signal.reason as Error);
        else reject(new ConnectionCut(`the connection broke before the answer (${error.message})`, false, error));
      });
      outgoing.end(request.body);
    });
  }

  async close(): Promise<void> {
    this.used = true;
    this.socket.destroy();
    await this.gone;
  }
}
