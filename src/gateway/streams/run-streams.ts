import { Inject, Injectable, Logger } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { AppError } from '../../errors/app-error.js';
import { SseBroadcaster, type StreamTopic } from '../../realtime/index.js';
import { type Clock, CLOCK } from '../../runtime/clock.js';
import type { Runnable } from '../../runtime/runnable.js';
import { WatchRunsRequestSchema } from '../gen/flowwatch/v1/stream_service_pb.js';
import { RunStatusSchema } from '../gen/flowwatch/v1/types_pb.js';
import { LiveAnswers } from '../live/live-answers.js';
import { parseRunStreamId, RUN_STREAM_PREFIX } from './run-stream-key.js';
import { RunStreamWatch } from './run-stream-watch.js';
import { valueOfWord } from '../rest/wire-words.js';

/** Different filters that are followed at once; each keeps up to 1000 runs. */
const MAX_WATCHES = 200;

interface Shared {
  readonly watch: RunStreamWatch;
  /** Tenants whose clients follow it, or may resume. */
  tenants: number;
}

/** The stream keys `gateway-runs` and `gateway-runs:<filter>`: runs of the subsystems are followed while somebody reads. */
@Injectable()
export class RunStreams implements Runnable {
  readonly name = 'streams of runs';
  private readonly log = new Logger(RunStreams.name);
  private readonly watches = new Map<string, Shared>();
  private isStopped = false;

  constructor(
    @Inject(LiveAnswers) private readonly live: Pick<LiveAnswers, 'changes'>,
    @Inject(SseBroadcaster) private readonly broadcaster: Pick<SseBroadcaster, 'registerTopic' | 'publish'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Before the service starts. */
  register(): void {
    this.broadcaster.registerTopic(this.topic());
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    const watches = [...this.watches.values()];
    this.watches.clear();
    await Promise.all(watches.map(({ watch }) => watch.stop()));
  }

  private topic(): StreamTopic {
    return {
      prefix: RUN_STREAM_PREFIX,
      authorize: async (_principal, id) => this.authorize(id),
      snapshot: async (principal, id) => (await this.watches.get(id)?.watch.snapshot(principal)) ?? [],
      warmed: (id) => this.warmed(id),
      cooled: (id) => this.cooled(id),
    };
  }

  private authorize(id: string): void {
    if (parseRunStreamId(id) === undefined) {
      const message = `must have a filter as the streamKey of GET /gateway/streams/runs has it, after "${RUN_STREAM_PREFIX}:"`;
      throw AppError.invalid([{ path: 'key', message }]);
    }
    if (this.watches.has(id) || this.watches.size < MAX_WATCHES) return;
    throw new AppError(
      'stream.limit',
      `${MAX_WATCHES} different filters of runs are followed; use one of them, or none`,
    );
  }

  private warmed(id: string): void {
    const shared = this.watches.get(id);
    if (shared) shared.tenants += 1;
    else if (!this.isStopped) this.watches.set(id, { watch: this.open(id), tenants: 1 });
  }

  private cooled(id: string): void {
    const shared = this.watches.get(id);
    if (!shared) return;
    shared.tenants -= 1;
    if (shared.tenants > 0) return;
    this.watches.delete(id);
    void shared.watch.stop();
  }

  private open(id: string): RunStreamWatch {
    const { workflowId = [], status = [], subsystemId = [] } = parseRunStreamId(id) ?? {};
    const request = create(WatchRunsRequestSchema, {
      workflowIds: [...workflowId],
      subsystemIds: [...subsystemId],
      includeInitialSnapshot: true,
    });
    const streamKey = id === '' ? RUN_STREAM_PREFIX : `${RUN_STREAM_PREFIX}:${id}`;
    return new RunStreamWatch({
      statuses: new Set(status.map((word) => valueOfWord(RunStatusSchema, word))),
      open: (caller) => this.live.changes(caller, request),
      publish: (tenantId, item) => this.broadcaster.publish(streamKey, tenantId, item),
      clock: this.clock,
      onError: (error) => this.log.error({ message: 'a stream of runs has to be opened anew', error }),
    });
  }
}
