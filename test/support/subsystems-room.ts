import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { DEFAULT_TENANT } from '../../src/auth/principal.js';
import type { CallOptions } from '../../src/gateway/connections/subsystem-connection.js';
import type { SubsystemState } from '../../src/gateway/registry/subsystem-directory.js';
import { CachedRunOwners } from '../../src/gateway/routing/cached-run-owners.js';
import type { Caller } from '../../src/gateway/routing/caller.js';
import { WorkflowOwners } from '../../src/gateway/routing/workflow-owners.js';
import { FakeClock } from './fake-clock.js';
import { FakeSubsystemConnection } from './fake-subsystem-connection.js';
import { type FakeSubsystem, FakeSubsystemDirectory } from './fake-subsystem-directory.js';
import { SubsystemData } from './flowwatch-subsystem-data.js';
import { type ServicesOptions, SubsystemServices } from './flowwatch-subsystem-services.js';

/** One whose answers to mutations may get lost on the way, after they took effect. */
export class LossyConnection extends FakeSubsystemConnection {
  losesReplies = false;

  override async mutate<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>> {
    const answer = await super.mutate(method, input, options);
    if (this.losesReplies) throw new ConnectError('the connection was cut: it may have taken effect', Code.Unknown);
    return answer;
  }
}

export interface RoomSubsystem {
  readonly registered: FakeSubsystem;
  readonly connection: LossyConnection;
  readonly services: SubsystemServices;
}

export interface RoomSubsystemOptions extends ServicesOptions {
  /** Ids of its runs. */
  readonly runs?: readonly string[];
  readonly tenantId?: string;
  readonly state?: SubsystemState;
  /** What its runs claim as `subsystem_id`. */
  readonly domain?: string;
  readonly workflowIds?: readonly string[];
}

/** Subsystems in memory, and the owners of their runs. */
export class SubsystemsRoom {
  readonly clock = new FakeClock();
  readonly directory = new FakeSubsystemDirectory();
  readonly owners: CachedRunOwners;
  readonly workflowOwners: WorkflowOwners;

  constructor(runCacheSize = 1_000) {
    this.owners = new CachedRunOwners(this.directory, this.clock, { uuid: () => 'made-up' }, { runCacheSize });
    this.workflowOwners = new WorkflowOwners(this.directory, this.clock);
  }

  /** Connected, of the tenant `default`, with no runs, unless said otherwise. */
  add(
    id: string,
    { runs = [], tenantId, state, domain, workflowIds, ...services }: RoomSubsystemOptions = {},
  ): RoomSubsystem {
    const data = new SubsystemData({
      id,
      runs: runs.length,
      runId: (index) => runs[index] ?? `${id}-new-${index}`,
      ...(domain === undefined ? {} : { domain }),
      ...(workflowIds === undefined ? {} : { workflowIds }),
    });
    const made = new SubsystemServices(data, services);
    const connection = new LossyConnection((router) => made.register(router), {
      clock: this.clock,
      callTimeoutMs: 10_000,
    });
    const registered = this.directory.add({
      id,
      connection,
      capabilities: data.capabilities,
      workflows: data.workflows,
      ...(tenantId === undefined ? {} : { tenantId }),
      ...(state === undefined ? {} : { state }),
    });
    return { registered, connection, services: made };
  }
}

/** An operator of the tenant `default`, unless said otherwise, who never hangs up. */
export function callerOf({
  tenantId = DEFAULT_TENANT,
  ...options
}: Partial<Caller> & { tenantId?: string } = {}): Caller {
  return {
    principal: { kind: 'user', id: 'ann', role: 'operator', tenantId },
    signal: new AbortController().signal,
    ...options,
  };
}
