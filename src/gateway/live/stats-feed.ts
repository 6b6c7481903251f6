import { Code, ConnectError } from '@connectrpc/connect';
import { abortable } from '../../runtime/abortable.js';
import { type StatsSnapshot, StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import { pollInTurn } from './poll-in-turn.js';
import { pollStats } from './polled-stats.js';
import { Upstream, type UpstreamContext } from './upstream.js';

/** So many intervals without a word, and what it last said is no longer true. */
const FRESH_INTERVALS = 3;
const FRESH_AT_LEAST_MS = 15_000;

/** The figures of one subsystem, read once for all who watch at the same interval. */
export class StatsFeed {
  isPolled: boolean;
  private readonly upstream: Upstream;
  private last: { readonly snapshot: StatsSnapshot; readonly at: number } | undefined;

  constructor(
    private readonly subsystem: Subsystem,
    private readonly intervalSeconds: number,
    private readonly gatewayPath: string | undefined,
    private readonly context: UpstreamContext,
  ) {
    this.isPolled = subsystem.capabilities?.streaming === false;
    this.upstream = new Upstream(subsystem, context, (signal, begun) => this.run(signal, begun));
    this.upstream.start();
  }

  get missing(): Upstream['missing'] {
    return this.upstream.missing;
  }

  get isCircle(): boolean {
    return this.upstream.isCircle;
  }

  /** What it said last; undefined if that is too long ago, or it is not there. */
  get current(): StatsSnapshot | undefined {
    if (!this.last || this.subsystem.state !== 'connected') return undefined;
    const freshMs = Math.max(FRESH_AT_LEAST_MS, FRESH_INTERVALS * this.intervalSeconds * 1_000);
    return this.context.clock.monotonic() - this.last.at <= freshMs ? this.last.snapshot : undefined;
  }

  stop(): Promise<void> {
    return this.upstream.stop();
  }

  private async run(signal: AbortSignal, begun: () => void): Promise<void> {
    const { connection, capabilities } = this.subsystem;
    const take = (snapshot: StatsSnapshot): void => {
      this.last = { snapshot, at: this.context.clock.monotonic() };
      begun();
    };
    this.last = undefined;
    if (capabilities?.streaming === false) return await this.poll(signal, take);
    const request = { intervalSeconds: this.intervalSeconds };
    const { gatewayPath } = this;
    try {
      this.isPolled = false;
      const snapshots = connection.stream(StreamService.method.watchStats, request, { signal, gatewayPath });
      for await (const snapshot of snapshots) take(snapshot);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
      await this.poll(signal, take);
    }
  }

  private async poll(signal: AbortSignal, take: (snapshot: StatsSnapshot) => void): Promise<void> {
    this.isPolled = true;
    const { clock } = this.context;
    for (;;) {
      const { subsystem, gatewayPath } = this;
      const polled = pollInTurn(subsystem, signal, (until) =>
        pollStats(subsystem, clock.now(), { signal: until, gatewayPath }),
      );
      take(await abortable(polled, signal));
      await clock.sleep(this.intervalSeconds * 1_000, signal);
    }
  }
}
