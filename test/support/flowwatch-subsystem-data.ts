import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Capabilities,
  CapabilitiesSchema,
  GraphNodeType,
  GraphSchema,
  type Graph,
  LogEntrySchema,
  type LogEntry,
  LogLevel,
  type Run,
  RunSchema,
  RunStatus,
  type StepExecution,
  StepExecutionSchema,
  StepStatus,
  type WorkflowDefinition,
  WorkflowDefinitionSchema,
} from '../../src/gateway/gen/flowwatch/v1/types_pb.js';

export interface SubsystemDataOptions {
  /** Prefix of every id, unless `workflowIds` or `runId` say otherwise. */
  readonly id: string;
  readonly runs?: number;
  readonly workflowIds?: readonly string[];
  readonly runId?: (index: number) => string;
  /** Business domain that runs claim as `subsystem_id`: not the id of the subsystem. */
  readonly domain?: string;
  /** Start of the oldest run. */
  readonly epochMs?: number;
  /** Milliseconds between two starts; subsystems of one spacing and different `id`s have different starts. */
  readonly spacingMs?: number;
  readonly capabilities?: MessageInitShape<typeof CapabilitiesSchema>;
}

export const STEP_NAMES = ['validate', 'charge', 'notify'] as const;
const CYCLE = [RunStatus.SUCCEEDED, RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.RUNNING, RunStatus.CANCELED];
const ALL_CAPABILITIES: MessageInitShape<typeof CapabilitiesSchema> = {
  retryRun: true,
  retryFromStep: true,
  cancelRun: true,
  pauseRun: true,
  resumeRun: true,
  skipStep: true,
  streaming: true,
  analytics: true,
  search: { enabled: true, engine: 'memory', scopes: ['runs'], queryLanguage: false, maxResults: 500 },
};

/** What a test's subsystem holds: the same for the same options, on every machine. */
export class SubsystemData {
  readonly runs: Run[];
  readonly workflows: WorkflowDefinition[];
  readonly capabilities: Capabilities;
  private readonly epochMs: number;

  constructor(readonly options: SubsystemDataOptions) {
    const { id, runs = 10, workflowIds = [`${id}-workflow`, `${id}-nightly`] } = options;
    this.epochMs = options.epochMs ?? Date.UTC(2026, 0, 1);
    this.capabilities = create(CapabilitiesSchema, options.capabilities ?? ALL_CAPABILITIES);
    this.workflows = workflowIds.map((workflowId) =>
      create(WorkflowDefinitionSchema, {
        id: workflowId,
        name: `Workflow ${workflowId}`,
        engine: 'temporal',
        version: '1',
        subsystemId: this.domain,
        createdAt: timestampFromMs(this.epochMs),
      }),
    );
    this.runs = Array.from({ length: runs }, (_, index) => this.makeRun(index));
  }

  run(runId: string): Run | undefined {
    return this.runs.find(({ id }) => id === runId);
  }

  /** Adds a run that starts after all others. */
  addRun(change: Partial<Run> = {}): Run {
    const run = Object.assign(this.makeRun(this.runs.length), change);
    this.runs.push(run);
    return run;
  }

  steps(run: Run): StepExecution[] {
    const startMs = this.startOf(run);
    const failed = run.status === RunStatus.FAILED;
    return STEP_NAMES.map((stepName, index) =>
      create(StepExecutionSchema, {
        id: `${run.id}/${stepName}`,
        runId: run.id,
        stepName,
        status: failed && index === 2 ? StepStatus.FAILED : StepStatus.SUCCEEDED,
        attempt: 1,
        startedAt: timestampFromMs(startMs + index * 10),
        finishedAt: timestampFromMs(startMs + index * 10 + 8),
        duration: { seconds: 0n, nanos: 8_000_000 },
        queueWait: { seconds: 0n, nanos: 2_000_000 },
        input: { step: stepName },
        ...(failed && index === 2 ? { error: { message: 'out of paper', code: 'E_PAPER' } } : {}),
      }),
    );
  }

  logs(run: Run): LogEntry[] {
    return STEP_NAMES.flatMap((stepName, step) =>
      [LogLevel.INFO, LogLevel.WARN].map((level, line) =>
        create(LogEntrySchema, {
          runId: run.id,
          stepName,
          lineNumber: BigInt(step * 2 + line + 1),
          timestamp: timestampFromMs(this.startOf(run) + step * 10 + line),
          level,
          message: `${stepName} says ${line}`,
          source: 'stdout',
        }),
      ),
    );
  }

  graph(workflowId: string): Graph {
    return create(GraphSchema, {
      workflowId,
      nodes: STEP_NAMES.map((name) => ({ id: name, label: name, type: GraphNodeType.STEP })),
      edges: STEP_NAMES.slice(1).map((name, index) => ({ sourceId: STEP_NAMES[index] ?? '', targetId: name })),
    });
  }

  startOf(run: Run): number {
    return Number(run.startedAt?.seconds ?? 0n) * 1_000 + (run.startedAt?.nanos ?? 0) / 1e6;
  }

  get domain(): string {
    return this.options.domain ?? `${this.options.id}-domain`;
  }

  private makeRun(index: number): Run {
    const { id, spacingMs = 1_000, runId = (n: number) => `${id}-run-${String(n).padStart(5, '0')}` } = this.options;
    const status = CYCLE[index % CYCLE.length] ?? RunStatus.PENDING;
    const startedMs = this.epochMs + index * spacingMs + (hash(`${id}/${index}`) % spacingMs);
    const durationMs = 100 + (hash(`${index}/${id}`) % 900);
    const ended = status !== RunStatus.RUNNING;
    return create(RunSchema, {
      id: runId(index),
      workflowId: this.workflows[index % this.workflows.length]?.id ?? '',
      foreignId: `order-${index}`,
      status,
      currentStep: STEP_NAMES[2],
      subsystemId: this.domain,
      trace: { traceId: `trace-${index}`, spanId: `${id}-span-${index}`, traceSource: 'otel' },
      startedAt: timestampFromMs(startedMs),
      ...(ended ? { finishedAt: timestampFromMs(startedMs + durationMs) } : {}),
      ...(ended ? { duration: { seconds: 0n, nanos: durationMs * 1_000_000 } } : {}),
      ...(status === RunStatus.FAILED ? { error: { message: 'out of paper', code: 'E_PAPER' } } : {}),
      metadata: { region: index % 2 === 0 ? 'north' : 'south' },
    });
  }
}

/** FNV-1a, for figures that look drawn and are the same everywhere. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return value;
}
