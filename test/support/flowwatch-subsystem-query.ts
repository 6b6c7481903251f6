import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { ListRunsRequest, RunFilter } from '../../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import {
  type PaginationRequest,
  type PaginationResponse,
  PaginationResponseSchema,
  type Run,
  type TimeRange,
} from '../../src/gateway/gen/flowwatch/v1/types_pb.js';

/** `stable`: the position after the last one given. `offset`: a count, which shifts when a run is added. */
export type CursorKind = 'stable' | 'offset';

interface Moment {
  readonly seconds: bigint;
  readonly nanos: number;
}

const nanos = (at: Moment | undefined): bigint => (at ? at.seconds * 1_000_000_000n + BigInt(at.nanos) : 0n);
const ORDERS: Readonly<Record<string, (run: Run) => bigint | string>> = {
  '': (run) => nanos(run.startedAt),
  started_at: (run) => nanos(run.startedAt),
  finished_at: (run) => nanos(run.finishedAt),
  duration: (run) => nanos(run.duration),
  status: (run) => BigInt(run.status),
  workflow_id: (run) => run.workflowId,
  id: (run) => run.id,
};

/** A page of runs. Without `order_by`: newest first, like FlowWatch. @throws ConnectError `invalid_argument` */
export function pageOfRuns(
  runs: readonly Run[],
  request: ListRunsRequest,
  kind: CursorKind,
): { runs: Run[]; pagination: PaginationResponse } {
  const key = ORDERS[request.orderBy];
  if (!key) throw new ConnectError(`cannot order by ${request.orderBy}`, Code.InvalidArgument);
  const sign = request.descending || request.orderBy === '' ? -1 : 1;
  const order = (a: Run, b: Run): number => sign * (compare(key(a), key(b)) || compare(a.id, b.id));
  const sorted = runs.filter((run) => matches(run, request.filter)).toSorted(order);
  const after = request.pagination?.cursor ?? '';
  const start = kind === 'offset' ? Number(after) : startAfter(sorted, after, order, runs);
  const { items, next } = slice(sorted, start, request.pagination, kind, (run) => run.id);
  return { runs: items, pagination: create(PaginationResponseSchema, { nextCursor: next, totalCount: sorted.length }) };
}

/** A page of anything, by a count as cursor. */
export function pageOf<T>(items: readonly T[], request: PaginationRequest | undefined): [T[], PaginationResponse] {
  const page = slice(items, Number(request?.cursor ?? ''), request, 'offset', () => '');
  return [page.items, create(PaginationResponseSchema, { nextCursor: page.next, totalCount: items.length })];
}

export function isWithin(at: Moment | undefined, range: TimeRange | undefined): boolean {
  if (!range) return true;
  return (!range.from || nanos(at) >= nanos(range.from)) && (!range.to || nanos(at) < nanos(range.to));
}

function slice<T>(
  sorted: readonly T[],
  start: number,
  request: PaginationRequest | undefined,
  kind: CursorKind,
  idOf: (item: T) => string,
): { items: T[]; next: string } {
  if (!Number.isSafeInteger(start)) throw new ConnectError('the cursor is not one of mine', Code.InvalidArgument);
  const end = start + (request?.limit || 50);
  const items = sorted.slice(start, end);
  const last = items.at(-1);
  if (end >= sorted.length || last === undefined) return { items, next: '' };
  return { items, next: kind === 'offset' ? String(end) : Buffer.from(idOf(last)).toString('base64url') };
}

function startAfter(
  sorted: readonly Run[],
  cursor: string,
  order: (a: Run, b: Run) => number,
  all: readonly Run[],
): number {
  if (cursor === '') return 0;
  const id = Buffer.from(cursor, 'base64url').toString();
  const last = all.find((run) => run.id === id);
  if (!last) throw new ConnectError('the cursor is not one of mine', Code.InvalidArgument);
  const index = sorted.findIndex((run) => order(run, last) > 0);
  return index < 0 ? sorted.length : index;
}

function matches(run: Run, filter: RunFilter | undefined): boolean {
  if (!filter) return true;
  const any = <T>(wanted: readonly T[], value: T): boolean => wanted.length === 0 || wanted.includes(value);
  return (
    any(filter.workflowIds, run.workflowId) &&
    any(filter.statuses, run.status) &&
    any(filter.subsystemIds, run.subsystemId) &&
    isWithin(run.startedAt, filter.timeRange) &&
    (filter.foreignId === '' || run.foreignId === filter.foreignId) &&
    (filter.traceId === '' || run.trace?.traceId === filter.traceId) &&
    Object.entries(filter.metadataMatch).every(([name, value]) => run.metadata[name] === value)
  );
}

function compare(a: bigint | string, b: bigint | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
