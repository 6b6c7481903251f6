import type { MessageInitShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { RunService } from '../../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import {
  type RunDetailEvent,
  RunDetailEventSchema,
  type RunEvent,
  RunEventSchema,
  RunEventType,
  type StatsSnapshot,
  StatsSnapshotSchema,
  StreamService,
  type WatchRunsRequest,
} from '../../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { type Run, RunStatus } from '../../src/gateway/gen/flowwatch/v1/types_pb.js';
import {
  type SubsystemSummarySchema,
  WorkflowService,
} from '../../src/gateway/gen/flowwatch/v1/workflow_service_pb.js';
import type { SubsystemData } from './flowwatch-subsystem-data.js';
import { Broadcast } from './flowwatch-subsystem-feeds.js';
import { addFigures } from './flowwatch-subsystem-figures.js';
import { type CursorKind, pageOf, pageOfRuns } from './flowwatch-subsystem-query.js';

export interface ServicesOptions {
  readonly cursor?: CursorKind;
  /** Neither streams nor searches nor counts: `unimplemented`. */
  readonly old?: boolean;
}

/** One mutation that was carried out. */
export interface Effect {
  readonly method: string;
  readonly runId: string;
  readonly idempotencyKey: string | undefined;
}

/** The services of a FlowWatch engine over data in memory. Also for `FakeSubsystemConnection`: `new …((r) => services.register(r))`. */
export class SubsystemServices {
  readonly effects: Effect[] = [];
  readonly runEvents = new Broadcast<RunEvent>();
  readonly stats = new Broadcast<StatsSnapshot>();
  private readonly details = new Map<string, Broadcast<RunDetailEvent>>();
  private readonly given = new Map<string, string>();

  constructor(
    readonly data: SubsystemData,
    private readonly options: ServicesOptions = {},
  ) {}

  /** Tells watchers of runs. The run's state in `data` is changed too if it is there. */
  emitRun(event: MessageInitShape<typeof RunEventSchema>): void {
    const made = create(RunEventSchema, { eventType: RunEventType.UPDATED, ...event });
    const known = made.run && this.data.run(made.run.id);
    if (known && made.run) Object.assign(known, made.run);
    this.runEvents.push(made);
  }

  emitDetail(runId: string, event: MessageInitShape<typeof RunDetailEventSchema>): void {
    this.detailsOf(runId).push(create(RunDetailEventSchema, event));
  }

  emitStats(snapshot: MessageInitShape<typeof StatsSnapshotSchema>): void {
    this.stats.push(create(StatsSnapshotSchema, snapshot));
  }

  /** Streams of all kinds that are open. */
  get watchers(): number {
    return [...this.details.values()].reduce((sum, feed) => sum + feed.size, this.runEvents.size + this.stats.size);
  }

  endStreams(error?: Error): void {
    for (const feed of [this.runEvents, this.stats, ...this.details.values()]) feed.end(error);
  }

  register(router: ConnectRouter): void {
    this.addRuns(router);
    this.addWorkflows(router);
    if (this.options.old) return;
    this.addStreams(router);
    addFigures(router, this.data);
  }

  private addRuns(router: ConnectRouter): void {
    router.service(RunService, {
      listRuns: (request) => pageOfRuns(this.data.runs, request, this.options.cursor ?? 'stable'),
      getRun: ({ runId }) => ({ run: this.existing(runId) }),
      getRunSteps: ({ runId }) => ({ steps: this.data.steps(this.existing(runId)) }),
      getRunTimeline: ({ runId }) => ({
        runId,
        totalDuration: { seconds: 0n, nanos: 30_000_000 },
        entries: this.data.steps(this.existing(runId)).map((step, index) => ({
          stepName: step.stepName,
          status: step.status,
          attempt: step.attempt,
          offset: { seconds: 0n, nanos: index * 10_000_000 },
          ...(step.duration ? { duration: step.duration } : {}),
        })),
      }),
      getRunLogs: ({ runId, stepName, levels, pagination }) => {
        const wanted = this.data
          .logs(this.existing(runId))
          .filter((entry) => stepName === '' || entry.stepName === stepName)
          .filter((entry) => levels.length === 0 || levels.includes(entry.level));
        const [logs, page] = pageOf(wanted, pagination);
        return { logs, pagination: page };
      },
      retryRun: ({ runId }, context) => ({ newRunId: this.retry('RetryRun', runId, context) }),
      retryFromStep: ({ runId }, context) => ({ newRunId: this.retry('RetryFromStep', runId, context) }),
      cancelRun: ({ runId }, context) => this.change('CancelRun', runId, context, RunStatus.CANCELED),
      pauseRun: ({ runId }, context) => this.change('PauseRun', runId, context, RunStatus.PAUSED),
      resumeRun: ({ runId }, context) => this.change('ResumeRun', runId, context, RunStatus.RUNNING),
      skipStep: ({ runId }, context) => this.change('SkipStep', runId, context),
      bulkRetry: ({ runIds }, context) => ({
        results: runIds.map((runId) => this.result(runId, () => this.retry('BulkRetry', runId, context))),
      }),
      bulkCancel: ({ runIds }, context) => ({
        results: runIds.map((runId) =>
          this.result(runId, () => void this.change('BulkCancel', runId, context, RunStatus.CANCELED)),
        ),
      }),
    });
  }

  private addWorkflows(router: ConnectRouter): void {
    router.service(WorkflowService, {
      listWorkflows: ({ pagination }) => {
        const [workflows, page] = pageOf(this.data.workflows, pagination);
        return { workflows, pagination: page };
      },
      getWorkflow: ({ workflowId }) => ({ workflow: this.workflow(workflowId) }),
      getGraph: ({ workflowId }) => ({ graph: this.data.graph(this.workflow(workflowId).id) }),
      getCapabilities: () => ({
        capabilities: this.options.old
          ? { ...this.data.capabilities, streaming: false, analytics: false, search: undefined }
          : this.data.capabilities,
      }),
      listSubsystems: () => ({ subsystems: [this.summary()] }),
      getSubsystem: ({ subsystemId }) => {
        if (subsystemId !== this.data.domain) throw new ConnectError('no such subsystem', Code.NotFound);
        return { subsystem: this.summary(), workflows: this.data.workflows };
      },
      getTrace: ({ traceId }) => {
        const runs = this.data.runs.filter((run) => run.trace?.traceId === traceId);
        const startMs = Math.min(...runs.map((run) => this.data.startOf(run)));
        const spans = runs.map((run) => ({
          spanId: run.trace?.spanId ?? '',
          parentSpanId: run.trace?.parentSpanId ?? '',
          run,
          subsystemId: run.subsystemId,
          offset: { seconds: 0n, nanos: Math.round((this.data.startOf(run) - startMs) * 1e6) },
          ...(run.duration ? { duration: run.duration } : {}),
          steps: this.data.steps(run),
        }));
        if (spans.length === 0) throw new ConnectError('no such trace', Code.NotFound);
        return { traceId, spans, subsystemCount: 1 };
      },
    });
  }

  private addStreams(router: ConnectRouter): void {
    router.service(StreamService, {
      watchRuns: (request, { signal }) => this.watchRuns(request, signal),
      watchRun: ({ runId }, { signal }) => {
        this.existing(runId);
        return this.detailsOf(runId).open(signal);
      },
      watchStats: (_, { signal }) =>
        this.stats.open(signal, [
          create(StatsSnapshotSchema, {
            timestamp: timestampFromMs(Date.UTC(2026, 0, 2)),
            running: this.data.runs.filter(({ status }) => status === RunStatus.RUNNING).length,
            ratePerMinute: 6,
            errorRate: 0.5,
          }),
        ]),
    });
  }

  private async *watchRuns(request: WatchRunsRequest, signal: AbortSignal): AsyncIterable<RunEvent> {
    const wanted = (run: Run | undefined): boolean =>
      run !== undefined &&
      (request.workflowIds.length === 0 || request.workflowIds.includes(run.workflowId)) &&
      (request.statuses.length === 0 || request.statuses.includes(run.status)) &&
      (request.subsystemIds.length === 0 || request.subsystemIds.includes(run.subsystemId));
    const snapshot = request.includeInitialSnapshot
      ? this.data.runs.map((run) => create(RunEventSchema, { eventType: RunEventType.CREATED, run }))
      : [];
    for await (const event of this.runEvents.open(signal, snapshot)) if (wanted(event.run)) yield event;
  }

  private detailsOf(runId: string): Broadcast<RunDetailEvent> {
    const feed = this.details.get(runId) ?? new Broadcast<RunDetailEvent>();
    this.details.set(runId, feed);
    return feed;
  }

  private existing(runId: string): Run {
    const run = this.data.run(runId);
    if (!run) throw new ConnectError(`run ${runId} is not known`, Code.NotFound);
    return run;
  }

  private workflow(workflowId: string): (typeof this.data.workflows)[number] {
    const workflow = this.data.workflows.find(({ id }) => id === workflowId);
    if (!workflow) throw new ConnectError(`workflow ${workflowId} is not known`, Code.NotFound);
    return workflow;
  }

  /** The same idempotency key again is answered again and has no second effect. */
  private retry(method: string, runId: string, context: HandlerContext): string {
    const run = this.existing(runId);
    const key = context.requestHeader.get('idempotency-key') ?? undefined;
    const scope = `${method}/${runId}/${key}`;
    const before = key === undefined ? undefined : this.given.get(scope);
    if (before !== undefined) return before;
    this.effects.push({ method, runId, idempotencyKey: key });
    const retried = this.data.addRun({ status: RunStatus.PENDING, workflowId: run.workflowId });
    this.given.set(scope, retried.id);
    return retried.id;
  }

  private change(method: string, runId: string, context: HandlerContext, status?: RunStatus): Record<string, never> {
    const run = this.existing(runId);
    this.effects.push({ method, runId, idempotencyKey: context.requestHeader.get('idempotency-key') ?? undefined });
    if (status !== undefined) run.status = status;
    return {};
  }

  private result(
    runId: string,
    act: () => string | void,
  ): { runId: string; success: boolean; error?: string; newRunId?: string } {
    try {
      return { runId, success: true, newRunId: act() ?? '' };
    } catch (error) {
      return { runId, success: false, error: ConnectError.from(error).rawMessage };
    }
  }

  private summary(): MessageInitShape<typeof SubsystemSummarySchema> {
    const { runs, workflows, domain } = this.data;
    return {
      subsystem: { id: domain, name: `Domain ${domain}` },
      workflowCount: workflows.length,
      activeRuns: runs.filter(({ status }) => status === RunStatus.RUNNING).length,
      failedLastHour: runs.filter(({ status }) => status === RunStatus.FAILED).length,
      errorRateLastHour: 0.2,
    };
  }
}
