import type { Message } from '@bufbuild/protobuf';
import { type ConnectError, type ContextKey, type HandlerContext, createContextKey } from '@connectrpc/connect';
import type { Principal } from '../../auth/index.js';
import type { AppError } from '../../errors/app-error.js';
import type { SiteHeaders } from '../../http/index.js';
import type { CommandedRuns } from '../routing/commanded-runs.js';
import type { RpcAccess } from './rpc-access.js';

/** One call, from its first header to its last byte. */
export interface RpcCall {
  readonly requestId: string;
  /** Of the peer. */
  readonly address: string;
  readonly site: SiteHeaders;
  readonly authorization: string | undefined;
  readonly gatewayPath: string | undefined;
  readonly idempotencyKey: string | undefined;
  /** Of Connect; undefined if it does not say. */
  readonly protocolVersion: string | undefined;
  /** Set when it is let in; never for what is public. */
  principal?: Principal;
  /** Why nothing answers it, of a call whose message is read all the same, to tell what was asked for. */
  refusal?: AppError | ConnectError;
  /** Kept for RPCs that change something. */
  request?: Message;
  /** Beside `request`. */
  commanded?: CommandedRuns;
  /** What it ended with, as it was thrown. */
  failure?: unknown;
  /** Told by a stream that has begun, of which headers it would send now. */
  streamBegun?: (headersOf: () => Headers) => void;
  /** `ok`, or the code that the handler or the way to it ended with; absent when Connect refused it on its own. */
  code?: string;
}

/** What is told of a call when it is over. */
export interface EndedRpc {
  /** `flowwatch.v1.RunService` */
  readonly service: string;
  /** `GetRun` */
  readonly method: string;
  readonly access: RpcAccess;
  readonly principal: Principal | undefined;
  /** Of RPCs that change something, if it was read. */
  readonly request: Message | undefined;
  readonly commanded: CommandedRuns | undefined;
  /** What it ended with, as it was thrown; undefined if it went well, or Connect refused it on its own. */
  readonly failure: unknown;
  /** `ok` or a code of Connect, in its words: `not_found`. */
  readonly code: string;
  /** Of HTTP, which tells nothing of a gRPC call's fate. */
  readonly status: number;
  readonly durationMs: number;
  readonly requestId: string;
}

/** Port: who wants to know of calls that are over, as metrics and audit do. Must not throw. */
export interface RpcObserver {
  ended(rpc: EndedRpc): void;
}

export const RPC_OBSERVERS = Symbol('RpcObservers');

export const RPC_CALL: ContextKey<RpcCall | undefined> = createContextKey<RpcCall | undefined>(undefined);

export function callOf({ values }: Pick<HandlerContext, 'values'>): RpcCall {
  const call = values.get(RPC_CALL);
  if (!call) throw new Error('the RPC did not come through the handler');
  return call;
}
