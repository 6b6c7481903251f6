import { Code, ConnectError } from '@connectrpc/connect';
import type { FailedLogins } from '../../auth/index.js';
import { type EgressPolicy, EgressRefused } from '../../egress/index.js';
import { parseHostAddress } from '../../egress/ip-address.js';
import type { RegisterRequest } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { readRegisterRequest } from './register-request.js';
import type { RegistrationKeys } from './registration-keys.js';
import { RegistryFull, type RegistrySession, SubsystemIdTaken } from './registry-session.js';
import type { SubsystemRegistry } from './subsystem-registry.js';

export interface RegistrationAdmissionOptions {
  readonly registry: SubsystemRegistry;
  readonly keys: RegistrationKeys;
  readonly egress: Pick<EgressPolicy, 'check'>;
  readonly failedLogins: Pick<FailedLogins, 'record'>;
}

export interface RegistrationPeer {
  readonly peerAddress: string;
  /** The key of its Authorization header, which counts before the one of the registration. */
  readonly headerKey: string | undefined;
}

/** What is said to a subsystem before its stream is ended with an error. */
export class RegistrationRefused {
  constructor(
    readonly reason: string,
    readonly code: Code,
  ) {}
}

const NO_KEYS =
  'the gateway has no keys for subsystems: set CROWSNEST_GATEWAY_API_KEY or CROWSNEST_GATEWAY_SUBSYSTEM_KEYS there';

/** Of the registration itself, which is only a first guess. */
const MAX_ANNOUNCED_WORKFLOWS = 1_000;

/** Whether a registration is taken: key, description, address, id. */
export class RegistrationAdmission {
  constructor(private readonly options: RegistrationAdmissionOptions) {}

  /** Looked at before anything is read. @throws ConnectError `unauthenticated` */
  requireKnownKey({ headerKey, peerAddress }: RegistrationPeer): void {
    const { keys, failedLogins } = this.options;
    if (headerKey === undefined || keys.isKnown(headerKey)) return;
    failedLogins.record(peerAddress, headerKey);
    const reason = keys.lackAll ? NO_KEYS : 'the key of the Authorization header is wrong';
    throw new ConnectError(reason, Code.Unauthenticated);
  }

  /**
   * @param end asks the subsystem to leave
   * @throws RegistrationRefused, ConnectError `invalid_argument`
   */
  admit(request: RegisterRequest, peer: RegistrationPeer, end: (reason: string) => void): RegistrySession {
    const tenantId = this.tenantOf(request, peer);
    const { endpoint, ...said } = readRegisterRequest(request);
    this.requireAllowed(endpoint.host);
    // Of the same tenant it may be the same program under a new id; another tenant's runs must not come in reach.
    const others = this.options.registry.othersAt(endpoint.origin, said.id);
    if (others.some((other) => other.tenantId !== tenantId)) {
      throw new RegistrationRefused('another subsystem is registered at this endpoint', Code.AlreadyExists);
    }
    const { capabilities, workflows } = request;
    const first = { capabilities, workflows: workflows.slice(0, MAX_ANNOUNCED_WORKFLOWS) };
    try {
      return this.options.registry.open({ ...said, endpoint: endpoint.origin, tenantId, source: 'stream', end, first });
    } catch (error) {
      if (error instanceof RegistryFull) throw new RegistrationRefused(error.message, Code.ResourceExhausted);
      if (!(error instanceof SubsystemIdTaken)) throw error;
      throw new RegistrationRefused('the subsystem id is taken', Code.AlreadyExists);
    }
  }

  private tenantOf({ apiKey, subsystemId }: RegisterRequest, { headerKey, peerAddress }: RegistrationPeer): string {
    const { keys, failedLogins } = this.options;
    const verdict = keys.judge(headerKey ?? apiKey, subsystemId);
    if (verdict === 'wrong') {
      failedLogins.record(peerAddress, headerKey ?? apiKey);
      throw new RegistrationRefused(keys.lackAll ? NO_KEYS : 'the key is missing or wrong', Code.Unauthenticated);
    }
    if (verdict !== 'foreign') return verdict.tenantId;
    throw new RegistrationRefused('the key is not for this subsystem id', Code.PermissionDenied);
  }

  /** A literal address is judged at once, a name each time that it is resolved. */
  private requireAllowed(host: string): void {
    try {
      const address = parseHostAddress(host);
      if (address) this.options.egress.check(address);
    } catch (error) {
      if (!(error instanceof EgressRefused)) throw error;
      throw new RegistrationRefused(`flowwatch_endpoint: ${error.detail}`, Code.PermissionDenied);
    }
  }
}
