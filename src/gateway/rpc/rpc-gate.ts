import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { type BearerAuthentication, DEFAULT_TENANT, type Principal, type Role, hasRole } from '../../auth/index.js';
import { AppError } from '../../errors/app-error.js';
import type { SiteRules } from '../../http/index.js';
import type { Readiness } from '../../lifecycle/index.js';
import { circleRefusal } from '../connections/gateway-circle.js';
import { Health } from '../gen/grpc/health/v1/health_pb.js';
import { invalidArgument } from '../input/invalid-argument.js';
import { accessOf } from './rpc-access.js';
import { type RpcCall, callOf } from './rpc-call.js';

export interface RpcGateOptions {
  readonly site: SiteRules;
  readonly bearers: BearerAuthentication;
  readonly readiness: Readiness;
  /** What callers without a credential may do. */
  readonly anonymousRole: 'none' | 'viewer' | 'operator';
  /** Read at each call: it is known when the store is open. */
  readonly installationId: () => string;
}

/** What the gate has to know of a call. */
export type GatedCall = Pick<HandlerContext, 'method' | 'values'>;

/** The only one that there is: https://connectrpc.com/docs/protocol */
const CONNECT_VERSION = '1';
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,128}$/;

/** What every call has to pass before its message is read. */
export class RpcGate {
  private readonly anonymous: Principal | undefined;
  private isStopped = false;

  constructor(private readonly options: RpcGateOptions) {
    const { anonymousRole: role } = options;
    if (role !== 'none') this.anonymous = { kind: 'user', id: 'anonymous', role, tenantId: DEFAULT_TENANT };
  }

  /** From now on no call is taken. */
  stop(): void {
    this.isStopped = true;
  }

  /**
   * Lets the call in and says whose it is. One that would change something, of a known caller whose role or whose
   * `Idempotency-Key` does not allow it, is let in with its refusal, which ends it when its message has been read: the
   * audit log tells of what it was.
   *
   * @throws AppError `request.host_refused`, `request.origin_refused`, `request.rate_limited`, `auth.required`,
   *   `auth.forbidden`; ConnectError `unavailable`, `failed_precondition`, `invalid_argument`
   */
  async admit(context: GatedCall): Promise<void> {
    const call = callOf(context);
    const { site } = this.options;
    site.requireOwnHost(call.site);
    site.requireOwnSite(call.site);
    this.requireService(context);
    this.requireNoLoop(call);
    if (call.protocolVersion !== undefined && call.protocolVersion !== CONNECT_VERSION) {
      throw new ConnectError(`Connect-Protocol-Version: expected ${CONNECT_VERSION}`, Code.InvalidArgument);
    }
    const access = accessOf(context.method);
    if (access === 'public' || access === 'own') return;
    const principal = await this.identify(call);
    call.principal = principal;
    if (principal.kind !== 'user') {
      throw new AppError('auth.forbidden', `this is not for ${principal.kind}s; "${principal.id}" is one`);
    }
    const refusal = refusalOf(principal, access) ?? refusalOfKey(call);
    if (refusal && (access !== 'operator' || context.method.methodKind !== 'unary')) throw refusal;
    if (refusal) call.refusal = refusal;
  }

  /** While a shutdown is announced whoever asks is answered, but nothing is begun that lasts. */
  private requireService({ method }: Pick<GatedCall, 'method'>): void {
    if (method.parent.typeName === Health.typeName) return;
    const isDraining = this.options.readiness.state === 'draining' && method.methodKind !== 'unary';
    if (!this.isStopped && !isDraining) return;
    throw new ConnectError('the service is shutting down; try again when it is back', Code.Unavailable);
  }

  /** A request that was here before goes round in a circle of gateways. */
  private requireNoLoop({ gatewayPath }: RpcCall): void {
    if (gatewayPath === undefined) return;
    const passed = gatewayPath.split(',').map((id) => id.trim());
    if (!passed.includes(this.options.installationId())) return;
    throw circleRefusal(
      'the request has come through this gateway before: gateways are registered with each other in a circle',
    );
  }

  /** The site was checked already, so an anonymous page is of a listed origin or of our own. */
  private async identify({ authorization, address }: RpcCall): Promise<Principal> {
    const { bearers } = this.options;
    if (authorization === undefined && this.anonymous && !bearers.isOpen) return this.anonymous;
    return bearers.authenticate({ authorization, address });
  }
}

function refusalOf(principal: Principal, access: Role | undefined): AppError | undefined {
  if (access !== undefined && hasRole(principal, access)) return undefined;
  const needed = access ?? 'of nobody';
  return new AppError('auth.forbidden', `this needs the role ${needed}; "${principal.id}" is ${principal.role}`);
}

function refusalOfKey({ idempotencyKey }: RpcCall): ConnectError | undefined {
  if (idempotencyKey === undefined || IDEMPOTENCY_KEY.test(idempotencyKey)) return undefined;
  return invalidArgument({ field: 'Idempotency-Key', description: 'must be 1 to 128 visible ASCII characters' });
}
