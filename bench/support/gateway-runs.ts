// Runs as a FlowWatch subsystem has them, and the plain way to serve and merge them with connect-es.
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ListRunsRequest } from '../../src/gateway/gen/flowwatch/v1/run_service_pb.ts';
import type { Run } from '../../src/gateway/gen/flowwatch/v1/types_pb.ts';
import { RunSchema, RunStatus } from './flowwatch-messages.ts';

const FIRST_START = Date.UTC(2026, 0, 1);

/** The newest first; those of three subsystems alternate. */
export function runsOf(subsystem: number, count: number): Run[] {
  return Array.from({ length: count }, (_, i) => {
    const startedAt = FIRST_START + (count - i) * 3_000 + subsystem * 1_000;
    return create(RunSchema, {
      id: `s${subsystem}-5f0c7f5e-1b0a-4f6e-9d57-${String(i).padStart(12, '0')}`,
      workflowId: `workflow-${i % 20}`,
      foreignId: `order-${i}`,
      status: RunStatus.SUCCEEDED,
      currentStep: 'notify',
      subsystemId: 'payments',
      trace: { traceId: `4bf92f3577b34da6a3ce929d0e0e${String(i).padStart(4, '0')}`, spanId: '00f067aa0ba902b7' },
      startedAt: timestampFromMs(startedAt),
      finishedAt: timestampFromMs(startedAt + 1_500),
      duration: { seconds: 1n, nanos: 500_000_000 },
      metadata: { region: 'eu-west-1', customer: `customer-${i % 100}` },
    });
  });
}

/** A page of runs that are in order, by an offset, as FlowWatch's own engine does it. */
export function pageOf(runs: readonly Run[], { pagination }: ListRunsRequest) {
  const from = Number(pagination?.cursor ?? '');
  const to = from + (pagination?.limit ?? 20);
  return {
    runs: runs.slice(from, to),
    pagination: { nextCursor: to < runs.length ? String(to) : '', totalCount: runs.length },
  };
}

/** The plain merge: the newest of all, decoded. */
export function mergePages(pages: ReadonlyArray<readonly Run[]>, limit: number): Run[] {
  const heads = pages.map(() => 0);
  const merged: Run[] = [];
  while (merged.length < limit) {
    let best = -1;
    for (const [i, page] of pages.entries()) {
      const run = page[heads[i] ?? 0];
      const first = pages[best]?.[heads[best] ?? 0];
      if (run && (!first || seconds(run) > seconds(first))) best = i;
    }
    const run = pages[best]?.[heads[best] ?? 0];
    if (!run) break;
    merged.push(run);
    heads[best] = (heads[best] ?? 0) + 1;
  }
  return merged;
}

const seconds = (run: Run): number => Number(run.startedAt?.seconds ?? 0n);
