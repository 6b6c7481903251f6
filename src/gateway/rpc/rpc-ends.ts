import type { DescMethod } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import type { Logger } from '@nestjs/common';
import { requestContext } from '../../logging/index.js';
import type { Clock } from '../../runtime/clock.js';
import { accessOf } from './rpc-access.js';
import type { RpcCall, RpcObserver } from './rpc-call.js';

export interface RpcEnd {
  /** On the monotonic clock. */
  readonly begun: number;
  /** undefined if the client left before. */
  readonly status: number | undefined;
  readonly isAnswered: boolean;
}

/** Tells of calls that are over: the log, and whoever else wants to know. */
export class RpcEnds {
  constructor(
    private readonly observers: readonly RpcObserver[],
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  tell(method: DescMethod, call: RpcCall, { begun, status = 499, isAnswered }: RpcEnd): void {
    const { requestId } = call;
    // Without a code it never came to an answer: the client left, or what it sent could not be read.
    const code = call.code ?? codeToString(isAnswered ? Code.InvalidArgument : Code.Canceled);
    const ended = {
      service: method.parent.typeName,
      method: method.name,
      access: accessOf(method) ?? 'admin',
      principal: call.principal,
      request: call.request,
      commanded: call.commanded,
      failure: call.failure,
      code,
      status,
      durationMs: this.clock.monotonic() - begun,
      requestId,
    };
    for (const observer of this.observers) observer.ended(ended);
    const { service, method: name, access, durationMs } = ended;
    const line = { message: 'rpc', service, method: name, code, status, durationMs: Math.round(durationMs) };
    requestContext.run({ requestId }, () => this.log[levelOf(code, access)](line));
  }
}

/** Changes and refusals are of interest to whoever runs the service, reads to whoever debugs it. */
function levelOf(code: string, access: string): 'warn' | 'log' | 'debug' {
  if (code === 'internal' || code === 'unknown' || code === 'data_loss') return 'warn';
  return code !== 'ok' || access === 'operator' ? 'log' : 'debug';
}
