import { z } from 'zod';
import type { GetTraceResponse } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { told } from './answer-view.js';
import { GatewayRun, GatewayStep, owner, runView, stepView } from './run-view.js';
import { millisecondsOf, millisecondsSchema, textOf, textSchema } from './wire-values.js';

export const GatewayTrace = z
  .object({
    traceId: z.string(),
    totalDurationMs: millisecondsSchema,
    subsystemCount: z.int(),
    spans: z.array(
      z.object({
        spanId: z.string(),
        parentSpanId: textSchema,
        subsystemId: owner,
        domain: textSchema.meta({ description: 'What the span itself says of where it belongs.' }),
        run: GatewayRun.nullable(),
        offsetMs: millisecondsSchema.meta({ description: 'From the start of the trace.' }),
        durationMs: millisecondsSchema,
        steps: z.array(GatewayStep),
      }),
    ),
    ...told,
  })
  .meta({ id: 'GatewayTrace' });
export type GatewayTrace = z.infer<typeof GatewayTrace>;

export function traceView(
  trace: GetTraceResponse,
  ownerOf: (runId: string) => string | null,
): Omit<GatewayTrace, keyof typeof told> {
  return {
    traceId: trace.traceId,
    totalDurationMs: millisecondsOf(trace.totalDuration),
    subsystemCount: trace.subsystemCount,
    spans: trace.spans.map((span) => {
      const subsystemId = span.run ? ownerOf(span.run.id) : null;
      return {
        spanId: span.spanId,
        parentSpanId: textOf(span.parentSpanId),
        subsystemId,
        domain: textOf(span.subsystemId),
        run: span.run ? runView(span.run, subsystemId) : null,
        offsetMs: millisecondsOf(span.offset),
        durationMs: millisecondsOf(span.duration),
        steps: span.steps.map(stepView),
      };
    }),
  };
}
