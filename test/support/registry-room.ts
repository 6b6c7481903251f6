import type { Connection } from 'mongoose';
import { type ConnectError, createRouterTransport, type ConnectRouter, type Transport } from '@connectrpc/connect';
import { DialError, EgressPolicy } from '../../src/egress/index.js';
import { CallFailure, shownFailure } from '../../src/gateway/connections/call-failure.js';
import { type GatewayConfig, gatewayConfig } from '../../src/gateway/gateway.config.js';
import { GatewayService } from '../../src/gateway/gen/flowwatch/v1/gateway_service_pb.js';
import { WorkflowService } from '../../src/gateway/gen/flowwatch/v1/workflow_service_pb.js';
import { Registration } from '../../src/gateway/registry/registration.js';
import { RegistrationKeys } from '../../src/gateway/registry/registration-keys.js';
import { RegistryCounters } from '../../src/gateway/registry/registry-counters.js';
import { RegistryFiguresReader } from '../../src/gateway/registry/registry-figures.js';
import { RegistryRunnable } from '../../src/gateway/registry/registry-runnable.js';
import { StoredSubsystemsRepository } from '../../src/gateway/registry/stored-subsystems.repository.js';
import { SubsystemAnnouncer } from '../../src/gateway/registry/subsystem-announcer.js';
import { SubsystemCallBacks } from '../../src/gateway/registry/subsystem-call-backs.js';
import type {
  OpenSubsystemConnection,
  SubsystemConnections,
} from '../../src/gateway/registry/subsystem-connections.js';
import { SubsystemRegistry } from '../../src/gateway/registry/subsystem-registry.js';
import { SubsystemsService } from '../../src/gateway/registry/subsystems.service.js';
import type { EventMap, EventType, StreamItem, StreamTopic } from '../../src/realtime/index.js';
import type { PublishOptions } from '../../src/realtime/bus/bus-event.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { configDefaults } from './config-defaults.js';
import { FakeClock } from './fake-clock.js';
import { FakeSubsystemConnection } from './fake-subsystem-connection.js';

/** By endpoint, what listens there: nothing until a test puts something. */
export class FakeEndpoints implements SubsystemConnections {
  readonly open_: OpenSubsystemConnection[] = [];
  private readonly listening = new Map<string, FakeSubsystemConnection>();
  private readonly refusing = new Set<string>();

  constructor(private readonly clock: FakeClock) {}

  /** A subsystem that offers streaming and has these workflows. */
  listen(endpoint: string, workflowIds: readonly string[] = []): FakeSubsystemConnection {
    return this.put(endpoint, ({ service }) =>
      service(WorkflowService, {
        getCapabilities: () => ({ capabilities: { streaming: true } }),
        listWorkflows: () => ({ workflows: workflowIds.map((id) => ({ id, name: id })) }),
      }),
    );
  }

  put(endpoint: string, routes: (router: ConnectRouter) => void): FakeSubsystemConnection {
    const connection = new FakeSubsystemConnection(routes, { clock: this.clock, callTimeoutMs: 10_000 });
    this.listening.set(endpoint, connection);
    return connection;
  }

  silence(endpoint: string): void {
    this.listening.delete(endpoint);
  }

  /** Whoever calls next finds nobody, and only that one. */
  refuseOnce(endpoint: string): void {
    this.refusing.add(endpoint);
  }

  /** Connections that were opened and not closed. */
  get openCount(): number {
    return this.open_.length;
  }

  open(
    _subsystemId: string,
    endpoints: () => readonly string[],
    onUnreachable: (endpoint: string) => void = () => undefined,
  ): OpenSubsystemConnection {
    const target = (): FakeSubsystemConnection => {
      for (const endpoint of endpoints()) {
        const found = this.listening.get(endpoint);
        if (found && !this.refusing.delete(endpoint)) return found;
        onUnreachable(endpoint);
      }
      throw nobodyListens();
    };
    const connection: OpenSubsystemConnection = {
      timeouts: new FakeSubsystemConnection().timeouts,
      read: async (method, input, options) => target().read(method, input, options),
      mutate: async (method, input, options) => target().mutate(method, input, options),
      stream: (method, input, options) => target().stream(method, input, options),
      close: () => void this.open_.splice(this.open_.indexOf(connection), 1),
    };
    this.open_.push(connection);
    return connection;
  }
}

/** As the real connection tells it. */
function nobodyListens(): ConnectError {
  const cause = new DialError('refused', 'nobody listens');
  return shownFailure(new CallFailure('not-reached', 'the subsystem cannot be reached', { cause }), 'fake', false);
}

/** A bus and a broadcaster that keep what they were told. */
class FakeOutlets {
  readonly events: Array<{ type: EventType; payload: unknown; options: PublishOptions | undefined }> = [];
  readonly items: Array<{ streamKey: string; tenantId: string; item: StreamItem }> = [];
  readonly retired: string[] = [];
  readonly topics = new Map<string, StreamTopic>();
  private readonly handlers: Array<(event: never) => unknown> = [];

  publish = <T extends EventType>(type: T, payload: EventMap[T], options?: PublishOptions): number => {
    this.events.push({ type, payload, options });
    for (const handle of this.handlers) handle({ type, payload } as never);
    return 1;
  };

  readonly broadcaster = {
    registerTopic: (topic: StreamTopic): void => void this.topics.set(topic.prefix, topic),
    publish: (streamKey: string, tenantId: string, item: StreamItem): void =>
      void this.items.push({ streamKey, tenantId, item }),
    retire: (streamKey: string): void => void this.retired.push(streamKey),
  };

  subscribe = (_name: string, _types: readonly string[], handle: (event: never) => unknown): never => {
    this.handlers.push(handle);
    return undefined as never;
  };

  changes(): string[] {
    return this.events.map(({ payload }) => {
      const { subsystem, change } = payload as EventMap['subsystem.changed'];
      return `${subsystem.id} ${change} ${subsystem.state}`;
    });
  }
}

export interface RegistryRoomOptions {
  readonly config?: Partial<GatewayConfig>;
  readonly servesLoopbackOnly?: boolean;
  readonly peerAddress?: string;
  /** Without it nothing can be registered over REST. */
  readonly connection?: Connection;
  readonly clock?: FakeClock;
  readonly endpoints?: FakeEndpoints;
  /** Instead of the endpoints: real connections. */
  readonly connections?: SubsystemConnections;
}

/** The registry on a clock that the test moves, with subsystems in memory. Not started. */
export function makeRegistryRoom(options: RegistryRoomOptions = {}) {
  const { servesLoopbackOnly = true, peerAddress = '127.0.0.1' } = options;
  const clock = options.clock ?? new FakeClock();
  const config = configDefaults(gatewayConfig, options.config);
  const endpoints = options.endpoints ?? new FakeEndpoints(clock);
  const connections = options.connections ?? endpoints;
  const random = new CryptoRandom();
  const outlets = new FakeOutlets();
  const failedLogins: string[] = [];
  const egress = new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly });

  const registry = new SubsystemRegistry(connections, config, clock);
  const counters = new RegistryCounters();
  const keys = new RegistrationKeys({ ...config, servesLoopbackOnly });
  const registration = new Registration(
    registry,
    keys,
    counters,
    egress,
    { record: (address) => void failedLogins.push(address) },
    config,
    clock,
  );
  const announcer = new SubsystemAnnouncer(registry, outlets, outlets.broadcaster, clock);
  announcer.register();
  const callBacks = new SubsystemCallBacks(registry, connections, clock, random);
  const repository = options.connection
    ? new StoredSubsystemsRepository(options.connection)
    : ({ list: () => Promise.resolve([]) } as unknown as StoredSubsystemsRepository);
  const tenants = { registerUsage: () => undefined };
  const service = new SubsystemsService(registry, repository, announcer, connections, egress, tenants, config, clock);
  const runnable = new RegistryRunnable(registry, registration, callBacks, service, config, clock);
  const figures = new RegistryFiguresReader(registry, registration, counters, announcer);
  const transport: Transport = createRouterTransport(({ service: serve }) =>
    serve(GatewayService, {
      register: (messages, { signal, requestHeader: headers }) =>
        registration.register(messages, { signal, peerAddress, headers }),
    }),
  );
  return {
    clock,
    config,
    endpoints,
    outlets,
    failedLogins,
    registry,
    registration,
    counters,
    announcer,
    callBacks,
    repository,
    service,
    runnable,
    figures,
    transport,
    random,
  };
}

export type RegistryRoom = ReturnType<typeof makeRegistryRoom>;
