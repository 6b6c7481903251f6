import { z } from 'zod';
import type { GetRunTimelineResponse } from '../gen/flowwatch/v1/run_service_pb.js';
import {
  type ErrorDetail,
  type LogEntry,
  LogLevelSchema,
  type Run,
  RunStatusSchema,
  type StepExecution,
  StepStatusSchema,
} from '../gen/flowwatch/v1/types_pb.js';
import { countedPageSchema, gatewayPageSchema, told } from './answer-view.js';
import {
  jsonSchema,
  millisecondsOf,
  millisecondsSchema,
  textOf,
  textSchema,
  timeOf,
  timeSchema,
} from './wire-values.js';
import { wordOf, wordSchema } from './wire-words.js';

const failure = z
  .object({ message: z.string(), code: textSchema, stackTrace: textSchema })
  .nullable()
  .meta({ description: 'Why it failed.' });

export const owner = z.string().nullable().meta({
  description: 'The subsystem that has it, by the id it is registered under; null if that is not known.',
});

export const GatewayRun = z
  .object({
    id: z.string().meta({
      description: '`<subsystem>~<id>`, each percent-encoded, where more than one subsystem has a run of this id.',
    }),
    workflowId: textSchema,
    subsystemId: owner,
    domain: textSchema.meta({ description: 'What the run itself says of where it belongs.' }),
    foreignId: textSchema,
    status: wordSchema(RunStatusSchema),
    currentStep: textSchema,
    trace: z
      .object({
        traceId: z.string(),
        spanId: textSchema,
        parentSpanId: textSchema,
        additionalTraceIds: z.array(z.string()),
        source: textSchema,
      })
      .nullable(),
    startedAt: timeSchema,
    finishedAt: timeSchema,
    durationMs: millisecondsSchema,
    error: failure,
    metadata: z.record(z.string(), z.string()),
  })
  .meta({ id: 'GatewayRun' });
export type GatewayRun = z.infer<typeof GatewayRun>;

export const GatewayRunAnswer = GatewayRun.extend(told).meta({ id: 'GatewayRunAnswer' });
export const GatewayRunPage = countedPageSchema(GatewayRun, 'GatewayRunPage');

export function runView(run: Run, subsystemId: string | null): GatewayRun {
  const { trace, error } = run;
  return {
    id: run.id,
    workflowId: textOf(run.workflowId),
    subsystemId,
    domain: textOf(run.subsystemId),
    foreignId: textOf(run.foreignId),
    status: wordOf(RunStatusSchema, run.status),
    currentStep: textOf(run.currentStep),
    trace: trace
      ? {
          traceId: trace.traceId,
          spanId: textOf(trace.spanId),
          parentSpanId: textOf(trace.parentSpanId),
          additionalTraceIds: trace.additionalTraceIds,
          source: textOf(trace.traceSource),
        }
      : null,
    startedAt: timeOf(run.startedAt),
    finishedAt: timeOf(run.finishedAt),
    durationMs: millisecondsOf(run.duration),
    error: errorView(error),
    metadata: run.metadata,
  };
}

function errorView(error: ErrorDetail | undefined): z.infer<typeof failure> {
  if (!error) return null;
  return { message: error.message, code: textOf(error.code), stackTrace: textOf(error.stackTrace) };
}

export const GatewayStep = z
  .object({
    id: textSchema,
    runId: z.string(),
    name: z.string(),
    status: wordSchema(StepStatusSchema),
    attempt: z.int(),
    startedAt: timeSchema,
    finishedAt: timeSchema,
    durationMs: millisecondsSchema,
    queueWaitMs: millisecondsSchema,
    input: jsonSchema,
    output: jsonSchema,
    error: failure,
  })
  .meta({ id: 'GatewayStep' });
export type GatewayStep = z.infer<typeof GatewayStep>;

export const GatewayStepPage = gatewayPageSchema(GatewayStep, 'GatewayStepPage');

export function stepView(step: StepExecution): GatewayStep {
  return {
    id: textOf(step.id),
    runId: step.runId,
    name: step.stepName,
    status: wordOf(StepStatusSchema, step.status),
    attempt: step.attempt,
    startedAt: timeOf(step.startedAt),
    finishedAt: timeOf(step.finishedAt),
    durationMs: millisecondsOf(step.duration),
    queueWaitMs: millisecondsOf(step.queueWait),
    input: step.input ?? null,
    output: step.output ?? null,
    error: errorView(step.error),
  };
}

export const GatewayTimeline = z
  .object({
    runId: z.string(),
    totalDurationMs: millisecondsSchema,
    entries: z.array(
      z.object({
        stepName: z.string(),
        status: wordSchema(StepStatusSchema),
        attempt: z.int(),
        offsetMs: millisecondsSchema.meta({ description: 'From the start of the run; null if it has not started.' }),
        durationMs: millisecondsSchema,
        queueWaitMs: millisecondsSchema,
        error: failure,
      }),
    ),
    ...told,
  })
  .meta({ id: 'GatewayTimeline' });
export type GatewayTimeline = z.infer<typeof GatewayTimeline>;

export function timelineView(timeline: GetRunTimelineResponse): Omit<GatewayTimeline, keyof typeof told> {
  return {
    runId: timeline.runId,
    totalDurationMs: millisecondsOf(timeline.totalDuration),
    entries: timeline.entries.map((entry) => ({
      stepName: entry.stepName,
      status: wordOf(StepStatusSchema, entry.status),
      attempt: entry.attempt,
      offsetMs: millisecondsOf(entry.offset),
      durationMs: millisecondsOf(entry.duration),
      queueWaitMs: millisecondsOf(entry.queueWait),
      error: errorView(entry.error),
    })),
  };
}

export const GatewayLogEntry = z
  .object({
    runId: z.string(),
    stepName: textSchema,
    line: z.int(),
    timestamp: timeSchema,
    level: wordSchema(LogLevelSchema),
    message: z.string(),
    source: textSchema,
  })
  .meta({ id: 'GatewayLogEntry' });
export type GatewayLogEntry = z.infer<typeof GatewayLogEntry>;

export const GatewayLogPage = countedPageSchema(GatewayLogEntry, 'GatewayLogPage');

export function logView(entry: LogEntry): GatewayLogEntry {
  return {
    runId: entry.runId,
    stepName: textOf(entry.stepName),
    line: Number(entry.lineNumber),
    timestamp: timeOf(entry.timestamp),
    level: wordOf(LogLevelSchema, entry.level),
    message: entry.message,
    source: textOf(entry.source),
  };
}
