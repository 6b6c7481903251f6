import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { JsonReadOptions } from '@bufbuild/protobuf';
import { createContextValues } from '@connectrpc/connect';
import { contentTypeStreamRegExp, parseContentType } from '@connectrpc/connect/protocol-connect';
import { GatewayService } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { RegisterExchange, type RegisterExchangeOptions } from './register-exchange.js';
import { RegisterFormat } from './register-format.js';
import { RPC_CALL, type RpcCall } from './rpc-call.js';
import type { GatedCall } from './rpc-gate.js';

export interface RegisterHandlerOptions extends RegisterExchangeOptions {
  /** Lets a call in, or throws what it ends with. */
  readonly admit: (call: GatedCall) => Promise<void>;
  readonly jsonOptions: Partial<JsonReadOptions>;
}

export const REGISTER = GatewayService.method.register;
const PATH = `/${REGISTER.parent.typeName}/${REGISTER.name}`;
/** What asks for more than a plain stream: left to the library. */
const MORE = ['connect-timeout-ms', 'connect-content-encoding'] as const;

/**
 * `Register` over Connect and HTTP/2, without the library: of its iterators, signals and closures an idle stream would
 * keep 60 KB, half as much again as the whole connection, and registered subsystems are idle streams.
 */
export class RegisterHandler {
  private readonly binary: RegisterFormat;
  private readonly json: RegisterFormat;

  constructor(private readonly options: RegisterHandlerOptions) {
    const { maxBytes, jsonOptions } = options;
    this.binary = new RegisterFormat(true, maxBytes, jsonOptions);
    this.json = new RegisterFormat(false, maxBytes, jsonOptions);
  }

  /** Whether the stream is one of those that are served here. */
  takes(headers: IncomingHttpHeaders): boolean {
    return (
      headers[':path'] === PATH &&
      headers[':method'] === 'POST' &&
      contentTypeStreamRegExp.test(headers['content-type'] ?? '') &&
      MORE.every((name) => headers[name] === undefined)
    );
  }

  async serve(
    call: RpcCall,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    more: OutgoingHttpHeaders,
  ): Promise<void> {
    const isBinary = parseContentType(headers['content-type'] ?? null)?.binary === true;
    const exchange = new RegisterExchange(stream, call, isBinary ? this.binary : this.json, this.options, more);
    try {
      await this.options.admit({ method: REGISTER, values: createContextValues().set(RPC_CALL, call) });
    } catch (error) {
      exchange.end(error);
      return;
    }
    exchange.open();
  }
}
