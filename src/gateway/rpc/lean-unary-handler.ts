import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { type DescMessage, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createContextValues } from '@connectrpc/connect';
import { compressionNegotiate } from '@connectrpc/connect/protocol';
import { codeToHttpStatus, codeToString, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import type { Clock } from '../../runtime/clock.js';
import { requireWithinLimits } from '../routing/request-rules.js';
import { type AnswerOnce, type UnaryMethod, inTime } from './answer-binder.js';
import { setReservations } from './answer-headers.js';
import { readBinary } from './read-message.js';
import { RPC_CALL, type RpcCall } from './rpc-call.js';
import type { RpcCalls } from './rpc-calls.js';
import { COMPRESSIONS, COMPRESS_FROM_BYTES } from './rpc-compression.js';
import type { GatedCall } from './rpc-gate.js';
import { tooLarge } from './too-large.js';

export interface LeanUnaryOptions {
  readonly calls: RpcCalls;
  readonly clock: Clock;
  readonly maxBytes: number;
  /** Lets a call in, or throws what it ends with. */
  readonly admit: (call: GatedCall) => Promise<void>;
}

/** A method of the viewer's and what answers it. */
export interface LeanMethod {
  readonly method: UnaryMethod<DescMessage, DescMessage>;
  readonly answer: AnswerOnce<DescMessage, DescMessage>;
}

const BINARY = 'application/proto';
const WHOLE_MS = /^[1-9]\d{0,9}$/;

/**
 * Unary reads over Connect in its binary form, without the library: where a run only passes through, its iterators,
 * signals and headers would take a third of the time that the whole call takes here.
 */
export class LeanUnaryHandler {
  private readonly methods: ReadonlyMap<string, LeanMethod>;

  constructor(
    methods: readonly LeanMethod[],
    private readonly options: LeanUnaryOptions,
  ) {
    this.methods = new Map(methods.map((each) => [`/${each.method.parent.typeName}/${each.method.name}`, each]));
  }

  /** undefined for what asks for more than the plain exchange: that is left to the library. */
  find(path: string, { method, headers }: IncomingMessage): LeanMethod | undefined {
    if (method !== 'POST' || headers['content-type'] !== BINARY) return undefined;
    if (headers['content-encoding'] !== undefined) return undefined;
    const timeout = headers['connect-timeout-ms'];
    if (timeout !== undefined && !WHOLE_MS.test(String(timeout))) return undefined;
    return this.methods.get(path);
  }

  /** Resolves when the answer is handed over, be it an error. */
  async serve(
    lean: LeanMethod,
    call: RpcCall,
    request: IncomingMessage,
    response: ServerResponse,
    more: OutgoingHttpHeaders,
  ): Promise<void> {
    const head: OutgoingHttpHeaders = { ...more, 'content-type': BINARY };
    let status = 200;
    let body: Uint8Array;
    try {
      body = await this.answer(lean, call, request, response, head);
    } catch (thrown) {
      const error = this.options.calls.errorOf(thrown);
      call.code = codeToString(error.code);
      error.metadata.forEach((value, name) => (head[name] = value));
      head['content-type'] = 'application/json';
      status = codeToHttpStatus(error.code);
      body = errorToJsonBytes(error, undefined);
    }
    await this.write(status, body, head, request, response);
  }

  private async answer(
    { method, answer }: LeanMethod,
    call: RpcCall,
    request: IncomingMessage,
    response: ServerResponse,
    head: OutgoingHttpHeaders,
  ): Promise<Uint8Array> {
    const { calls, clock, admit, maxBytes } = this.options;
    const end = new AbortController();
    response.once('close', () => {
      if (!response.writableEnded) end.abort(new ConnectError('the client is gone', Code.Canceled));
    });
    const timeout = request.headers['connect-timeout-ms'];
    const timeoutMs = timeout === undefined ? undefined : Number(timeout);
    const beganAt = clock.monotonic();
    const late = (): void => end.abort(new ConnectError('the operation timed out', Code.DeadlineExceeded));
    const timer = timeoutMs === undefined ? undefined : clock.after(timeoutMs, late, { unref: true });
    try {
      await admit({ method, values: createContextValues().set(RPC_CALL, call) });
      const message = readBinary(method.input, await readBody(request, maxBytes));
      const left = (): number | undefined => timeoutMs && timeoutMs - (clock.monotonic() - beganAt);
      const context = { signal: end.signal, timeoutMs: left };
      const answered = await calls.unary(call, context, (caller) =>
        inTime(caller, answer(caller, requireWithinLimits(message))),
      );
      setReservations({ set: (name, value) => void (head[name] = value) }, answered);
      return toBinary(method.output, answered.value);
    } finally {
      timer?.cancel();
    }
  }

  private async write(
    status: number,
    body: Uint8Array,
    head: OutgoingHttpHeaders,
    { headers }: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    let bytes = body;
    if (body.length >= COMPRESS_FROM_BYTES) {
      const accepted = headers['accept-encoding']?.toString() ?? null;
      const { response: compression } = compressionNegotiate(COMPRESSIONS, null, accepted, 'accept-encoding');
      if (compression) {
        bytes = await compression.compress(bytes as Uint8Array<ArrayBuffer>);
        head['content-encoding'] = compression.name;
      }
    }
    if (response.destroyed || response.closed) return;
    head['content-length'] = bytes.length;
    response.writeHead(status, head).end(bytes);
  }
}

/** @throws ConnectError `resource_exhausted`, `canceled` */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  // Over HTTP/2 the request is only a second stream around this one.
  const source: Readable = (request as { stream?: Readable }).stream ?? request;
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const end = (): void => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    // An error is dear: made only if it is one.
    const gone = (): void => {
      if (!source.readableEnded) reject(new ConnectError('the client is gone', Code.Canceled));
    };
    source.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      if (length <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      // What still comes is let through, so that the connection survives.
      chunks.length = 0;
      reject(tooLarge(maxBytes));
    });
    source.once('end', end).once('close', gone);
    // It may have ended while the call was let in.
    if (source.readableEnded) end();
    else if (source.destroyed) gone();
  });
}
