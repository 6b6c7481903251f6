import { type DescMessage, type MessageInitShape, create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from '@jest/globals';
import { GetLatencyRequestSchema, GetStepDurationRequestSchema } from '../gen/flowwatch/v1/analytics_service_pb.js';
import {
  CancelRunRequestSchema,
  GetRunLogsRequestSchema,
  GetRunRequestSchema,
  ListRunsRequestSchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import {
  ExplainRequestSchema,
  ReindexRequestSchema,
  SearchRequestSchema,
} from '../gen/flowwatch/v1/search_service_pb.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';
import { FIRST_SECOND, LAST_SECOND } from '../input/time-limits.js';
import { requireWithinLimits } from './request-rules.js';

/** Paths of the fields that are told to be wrong. */
function wrongFields<D extends DescMessage>(desc: D, request: MessageInitShape<D>): string[] {
  try {
    requireWithinLimits(create(desc, request));
  } catch (error) {
    const refused = ConnectError.from(error);
    expect(refused.code).toBe(Code.InvalidArgument);
    return refused.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations.map(({ field }) => field));
  }
  return [];
}

const x = (length: number): string => 'x'.repeat(length);
const at = (seconds: bigint, nanos = 0) => ({ seconds, nanos });
const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']));

describe('a request within the limits', () => {
  it('is any with nothing in it, and one of which nothing is limited', () => {
    for (const desc of [ListRunsRequestSchema, GetRunLogsRequestSchema, SearchRequestSchema, GetLatencyRequestSchema]) {
      expect(wrongFields(desc, {})).toEqual([]);
    }
    expect(wrongFields(GetRunRequestSchema, { runId: x(10_000) })).toEqual([]);
  });

  it('is as long as the longest, and no longer', () => {
    for (const [over, fields] of [
      [0, []],
      [1, ['reason']],
    ] as const) {
      expect(wrongFields(CancelRunRequestSchema, { reason: x(4_096 + over) })).toEqual(fields);
    }
    expect(wrongFields(SearchRequestSchema, { query: x(4_097), pagination: { cursor: x(65_537) } })).toEqual([
      'query',
      'pagination.cursor',
    ]);
    expect(wrongFields(ExplainRequestSchema, { rawQuery: x(4_097) })).toEqual(['raw_query']);
    expect(wrongFields(GetStepDurationRequestSchema, { workflowId: x(2_049) })).toEqual(['workflow_id']);
    expect(wrongFields(GetLatencyRequestSchema, { filter: { granularity: x(65), subsystemId: x(2_049) } })).toEqual([
      'filter.subsystem_id',
      'filter.granularity',
    ]);
  });

  it('has a filter of bounded lists, whose ids are some', () => {
    const many = Array.from({ length: 101 }, () => 'w');
    const filters: ReadonlyArray<readonly [object, readonly string[]]> = [
      [{ workflowIds: many.slice(1), statuses: many.slice(1).map(() => 1), metadataMatch: pairs(64) }, []],
      [{ workflowIds: many }, ['filter.workflow_ids']],
      [{ subsystemIds: ['a', '', x(2_049)] }, ['filter.subsystem_ids[1]', 'filter.subsystem_ids[2]']],
      [{ statuses: many.map(() => 1) }, ['filter.statuses']],
      [{ metadataMatch: pairs(65) }, ['filter.metadata_match']],
      [{ metadataMatch: { '': 'v' } }, ['filter.metadata_match']],
      [{ metadataMatch: { k: x(2_047) } }, ['filter.metadata_match']],
      [{ traceId: x(2_049), foreignId: x(2_049) }, ['filter.foreign_id', 'filter.trace_id']],
    ];
    for (const [filter, fields] of filters) expect(wrongFields(ListRunsRequestSchema, { filter })).toEqual(fields);
    expect(wrongFields(GetRunLogsRequestSchema, { levels: many.map(() => 1) })).toEqual(['levels']);
  });

  it('has times that there are, in their order', () => {
    const ranges: ReadonlyArray<readonly [object, readonly string[]]> = [
      [{ from: at(5n), to: at(5n) }, []],
      [{ from: at(FIRST_SECOND), to: at(LAST_SECOND, 999_999_999) }, []],
      [{ from: at(5n, 1), to: at(5n) }, ['range.to']],
      [{ from: at(FIRST_SECOND - 1n), to: at(LAST_SECOND + 1n) }, ['range.from', 'range.to']],
      [{ to: at(0n, -1) }, ['range.to']],
    ];
    for (const [range, fields] of ranges) expect(wrongFields(ReindexRequestSchema, { range })).toEqual(fields);
  });
});
