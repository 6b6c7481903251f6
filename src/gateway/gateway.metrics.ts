import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/metrics-registry.js';
import type { ConnectSubsystemConnections } from './connections/connect-subsystem-connections.js';
import { SharedRunFeeds } from './live/shared-run-feeds.js';
import { RegistryFiguresReader } from './registry/registry-figures.js';
import { SUBSYSTEM_CONNECTIONS } from './registry/subsystem-connections.js';
import { CachedRunOwners } from './routing/cached-run-owners.js';
import type { EndedRpc, RpcObserver } from './rpc/index.js';

type RegistryReader = Pick<RegistryFiguresReader, 'registryFigures'>;

/** What the gateway's callers get, and how the subsystems are. Figures of subsystems are read at the scrape. */
@Injectable()
export class GatewayMetrics implements RpcObserver {
  private readonly calls: Counter<'service' | 'method' | 'code'>;
  private readonly durations: Histogram<'service' | 'method'>;

  constructor(
    @Inject(METRICS_REGISTRY) registry: Registry,
    @Inject(RegistryFiguresReader) figures: RegistryReader,
    @Inject(SUBSYSTEM_CONNECTIONS) connections: Pick<ConnectSubsystemConnections, 'figures'>,
    @Inject(SharedRunFeeds) feeds: Pick<SharedRunFeeds, 'size'>,
    @Inject(CachedRunOwners) owners: Pick<CachedRunOwners, 'figures'>,
  ) {
    const registers = [registry];
    this.calls = new Counter({
      name: 'crowsnest_gateway_rpcs_total',
      help: 'Calls over Connect, gRPC and gRPC-Web that have ended, by the code they ended with.',
      labelNames: ['service', 'method', 'code'],
      registers,
    });
    this.durations = new Histogram({
      name: 'crowsnest_gateway_rpc_duration_seconds',
      help: 'How long they took; of streams, how long they were open.',
      labelNames: ['service', 'method'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    });
    measure(registry, figures);
    measureCalls(registry, connections);
    measureRuns(registry, feeds, owners);
  }

  ended({ service, method, code, durationMs }: EndedRpc): void {
    this.calls.inc({ service, method, code });
    this.durations.observe({ service, method }, durationMs / 1_000);
  }
}

function measure(registry: Registry, reader: RegistryReader): void {
  const registers = [registry];
  const read = () => reader.registryFigures();
  new Gauge({
    name: 'crowsnest_gateway_subsystems',
    help: 'Registered subsystems by state.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(read().states)) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'crowsnest_gateway_registration_streams',
    help: 'Open registration streams.',
    registers,
    collect() {
      this.set(read().streams);
    },
  });
  new Counter({
    name: 'crowsnest_gateway_registrations_total',
    help: 'Registrations by what became of them: accepted, or the code of the refusal.',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset();
      const { accepted, refused } = read();
      this.inc({ outcome: 'accepted' }, accepted);
      for (const [outcome, count] of refused) this.inc({ outcome }, count);
    },
  });
  measureEach(registry, reader);
}

function measureEach(registry: Registry, reader: RegistryReader): void {
  const registers = [registry];
  const labelNames = ['subsystem'] as const;
  const each = () => reader.registryFigures().subsystems;
  new Gauge({
    name: 'crowsnest_gateway_subsystem_up',
    help: 'Whether the subsystem is connected.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { id, state } of each()) this.set({ subsystem: id }, state === 'connected' ? 1 : 0);
    },
  });
  new Gauge({
    name: 'crowsnest_gateway_subsystem_instances',
    help: 'Instances of the subsystem that live.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { id, instances } of each()) {
        this.set({ subsystem: id }, instances.filter(({ state }) => state !== 'stale').length);
      }
    },
  });
  new Gauge({
    name: 'crowsnest_gateway_subsystem_last_beat_timestamp_seconds',
    help: 'When the subsystem last answered, in seconds since the epoch.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { id, lastBeatAt } of each()) {
        if (lastBeatAt !== null) this.set({ subsystem: id }, Date.parse(lastBeatAt) / 1_000);
      }
    },
  });
  new Gauge({
    name: 'crowsnest_gateway_subsystem_round_trip_seconds',
    help: 'How long its last answer took.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { id, roundTripMs } of each()) {
        if (roundTripMs !== null) this.set({ subsystem: id }, roundTripMs / 1_000);
      }
    },
  });
}

/** Sums over all subsystems: what each one is worth is told by its own gauges. */
function measureCalls(registry: Registry, connections: Pick<ConnectSubsystemConnections, 'figures'>): void {
  const registers = [registry];
  new Gauge({
    name: 'crowsnest_gateway_subsystem_connections',
    help: 'Open connections to instances of subsystems.',
    registers,
    collect() {
      this.set(connections.figures().links);
    },
  });
  new Gauge({
    name: 'crowsnest_gateway_breakers_open',
    help: 'dial: instances that are not connected to for a while; timeout: subsystems that are left out of fan-outs.',
    labelNames: ['kind'],
    registers,
    collect() {
      const { givenUp, leftOut } = connections.figures();
      this.set({ kind: 'dial' }, givenUp);
      this.set({ kind: 'timeout' }, leftOut);
    },
  });
  new Counter({
    name: 'crowsnest_gateway_subsystem_calls_total',
    help: 'Calls and streams to subsystems that have ended, by `ok` or the code they ended with.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of connections.figures().calls) this.inc({ code }, count);
    },
  });
}

function measureRuns(
  registry: Registry,
  feeds: Pick<SharedRunFeeds, 'size'>,
  owners: Pick<CachedRunOwners, 'figures'>,
): void {
  const registers = [registry];
  new Gauge({
    name: 'crowsnest_gateway_run_feeds',
    help: 'Feeds of the runs of a subsystem that are open because somebody watches.',
    registers,
    collect() {
      this.set(feeds.size);
    },
  });
  new Gauge({
    name: 'crowsnest_gateway_cached_runs',
    help: 'Runs of which the gateway remembers the subsystem.',
    registers,
    collect() {
      this.set(owners.figures().size);
    },
  });
  new Counter({
    name: 'crowsnest_gateway_run_lookups_total',
    help: 'Runs that were looked for: hit, remembered; miss, the subsystems were asked.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset();
      const { hits, lookups } = owners.figures();
      this.inc({ result: 'hit' }, hits);
      this.inc({ result: 'miss' }, lookups);
    },
  });
}
