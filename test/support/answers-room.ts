import type { ConnectRouter } from '@connectrpc/connect';
import { DEFAULT_TENANT } from '../../src/auth/principal.js';
import type { Caller } from '../../src/gateway/routing/caller.js';
import { CachedRunOwners } from '../../src/gateway/routing/cached-run-owners.js';
import { WorkflowOwners } from '../../src/gateway/routing/workflow-owners.js';
import { FakeClock } from './fake-clock.js';
import { FakeSubsystemConnection } from './fake-subsystem-connection.js';
import { type FakeSubsystem, FakeSubsystemDirectory } from './fake-subsystem-directory.js';

export const CALL_TIMEOUT_MS = 10_000;

/** What answers fanned out over subsystems need: some in memory, and who owns what. */
export class AnswersRoom {
  readonly clock = new FakeClock();
  readonly directory = new FakeSubsystemDirectory();
  readonly workflowOwners = new WorkflowOwners(this.directory, this.clock);
  readonly runOwners = new CachedRunOwners(
    this.directory,
    this.clock,
    { uuid: () => 'made-up' },
    { runCacheSize: 1_000 },
  );

  /** Registers a subsystem that answers as the routes say. */
  add(
    id: string,
    routes: (router: ConnectRouter) => void = () => undefined,
    more: Partial<FakeSubsystem> = {},
  ): FakeSubsystemConnection {
    const connection = new FakeSubsystemConnection(routes, { clock: this.clock, callTimeoutMs: CALL_TIMEOUT_MS });
    this.directory.add({ id, connection, ...more });
    return connection;
  }

  caller(more: Partial<Caller> & { tenantId?: string } = {}): Caller {
    const { tenantId = DEFAULT_TENANT, ...rest } = more;
    const principal = { kind: 'user', id: 'somebody', role: 'operator', tenantId } as const;
    return { principal, signal: new AbortController().signal, ...rest };
  }
}
