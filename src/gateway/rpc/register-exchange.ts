import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import { requestContext } from '../../logging/index.js';
import type { RegistrationInput, RegistrationWire } from '../registry/registration-wire.js';
import { EnvelopeReader } from './envelope-reader.js';
import type { RegisterFormat } from './register-format.js';
import type { RegistrationAnswers } from './rpc-answers.js';
import type { RpcCall } from './rpc-call.js';
import type { AbortableStream, RpcCalls } from './rpc-calls.js';

/** What all exchanges share. */
export interface RegisterExchangeOptions {
  readonly registration: Pick<RegistrationAnswers, 'open'>;
  readonly calls: RpcCalls;
  readonly maxBytes: number;
}

/** Beyond it the client reads nothing: a ping takes about 20 bytes. */
const CLOGGED_BYTES = 256;

/** One stream of `Register` on the wire. */
export class RegisterExchange implements RegistrationWire, AbortableStream {
  private readonly reader: EnvelopeReader;
  private input: RegistrationInput | undefined;
  private isOver = false;

  constructor(
    private readonly http: ServerHttp2Stream,
    private readonly call: RpcCall,
    private readonly format: RegisterFormat,
    private readonly options: RegisterExchangeOptions,
    /** Until it has been sent. */
    private head: OutgoingHttpHeaders | undefined,
  ) {
    this.reader = new EnvelopeReader(options.maxBytes);
  }

  open(): void {
    const { http, call } = this;
    if (http.destroyed || http.closed) {
      call.code ??= codeToString(Code.Canceled);
      return;
    }
    try {
      this.input = this.options.registration.open(call.address, call.authorization, this);
    } catch (error) {
      this.end(error);
      return;
    }
    this.options.calls.hold(this);
    http.on('data', (chunk: Buffer) => this.read(chunk));
    http.once('end', () => this.inputEnded());
    http.once('close', () => this.gone());
    // A request without a body is over before anybody listens.
    if (http.readableEnded) this.inputEnded();
  }

  /** The service ends. */
  abort(reason: unknown): void {
    this.input?.fail(reason);
  }

  get isClogged(): boolean {
    return this.http.writableLength > CLOGGED_BYTES;
  }

  send(message: Parameters<RegistrationWire['send']>[0]): void {
    if (!this.isWritable) return;
    this.sendHead();
    this.http.write(this.format.message(message));
  }

  end(error?: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.options.calls.release(this);
    const failure = error === undefined ? undefined : this.options.calls.errorOf(error);
    this.call.code ??= failure ? codeToString(failure.code) : 'ok';
    if (!this.isWritable) return;
    this.sendHead();
    this.http.end(this.format.end(failure));
    // What still comes is let through, so that the client's end is seen.
    this.http.resume();
  }

  private read(chunk: Buffer): void {
    if (this.isOver) return;
    requestContext.run(this.call, () => {
      try {
        this.reader.read(chunk, this.take);
      } catch (error) {
        this.input?.fail(error);
      }
    });
  }

  private readonly take = (flags: number, bytes: Buffer): void => {
    const message = this.isOver ? undefined : this.format.parse(flags, bytes);
    if (message) this.input?.take(message);
  };

  private inputEnded(): void {
    // What is reset or breaks off ends, too.
    if (this.http.closed || this.http.destroyed) this.gone();
    else if (this.reader.isInMessage) {
      this.input?.fail(new ConnectError('the stream ends within a message', Code.InvalidArgument));
    } else this.input?.inputEnded();
  }

  private gone(): void {
    if (!this.isOver) this.call.code ??= codeToString(Code.Canceled);
    this.input?.gone();
  }

  private get isWritable(): boolean {
    return !this.http.destroyed && !this.http.closed && !this.http.writableEnded;
  }

  private sendHead(): void {
    if (this.head) this.http.respond({ ':status': 200, 'content-type': this.format.contentType, ...this.head });
    this.head = undefined;
  }
}
