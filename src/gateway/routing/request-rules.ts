import type { DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import {
  type AnalyticsFilter,
  GetFailureRateRequestSchema,
  GetLatencyRequestSchema,
  GetStepDurationRequestSchema,
  GetStepHeatmapRequestSchema,
  GetThroughputRequestSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import {
  BulkCancelRequestSchema,
  CancelRunRequestSchema,
  GetRunLogsRequestSchema,
  ListRunsRequestSchema,
  type RunFilter,
  SkipStepRequestSchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import {
  ExplainRequestSchema,
  ReindexRequestSchema,
  SearchRequestSchema,
  SuggestRequestSchema,
} from '../gen/flowwatch/v1/search_service_pb.js';
import type { PaginationRequest, TimeRange } from '../gen/flowwatch/v1/types_pb.js';
import { ListWorkflowsRequestSchema } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { type FieldViolation, invalidArgument } from '../input/invalid-argument.js';
import { textProblem } from '../input/text-problem.js';
import { isTime } from '../input/time-limits.js';
import {
  MAX_CURSOR_LENGTH,
  MAX_FILTER_VALUES,
  MAX_GRANULARITY_LENGTH,
  MAX_ID_LENGTH,
  MAX_METADATA_PAIRS,
  MAX_METADATA_PAIR_LENGTH,
  MAX_REASON_LENGTH,
  MAX_SEARCH_LENGTHS,
} from './limits.js';
import { toNanos } from './wire-time.js';

type Violations = readonly FieldViolation[];

/**
 * The request, if each of its fields is within the limits that REST has for the same. What is required is found out where
 * it is asked for.
 *
 * @throws ConnectError `invalid_argument` naming each wrong field
 */
export function requireWithinLimits<T extends Message>(request: T): T {
  const violations = RULES.get(request.$typeName)?.(request) ?? [];
  if (violations.length > 0) throw invalidArgument(...violations);
  return request;
}

const RULES: ReadonlyMap<string, (request: Message) => Violations> = new Map([
  rule(ListRunsRequestSchema, ({ filter, pagination }) => [...runFilter(filter), ...page(pagination)]),
  rule(GetRunLogsRequestSchema, ({ stepName, levels, pagination }) => [
    ...text('step_name', stepName, MAX_ID_LENGTH),
    ...count('levels', levels.length),
    ...page(pagination),
  ]),
  rule(CancelRunRequestSchema, ({ reason }) => text('reason', reason, MAX_REASON_LENGTH)),
  rule(SkipStepRequestSchema, ({ reason }) => text('reason', reason, MAX_REASON_LENGTH)),
  rule(BulkCancelRequestSchema, ({ reason }) => text('reason', reason, MAX_REASON_LENGTH)),
  rule(ListWorkflowsRequestSchema, ({ pagination }) => page(pagination)),
  rule(SearchRequestSchema, ({ query, pagination, timeRange }) => [
    ...text('query', query, MAX_SEARCH_LENGTHS.query),
    ...page(pagination),
    ...range('time_range', timeRange),
  ]),
  rule(SuggestRequestSchema, ({ field, prefix }) => [
    ...text('field', field, MAX_SEARCH_LENGTHS.field, 1),
    ...text('prefix', prefix, MAX_SEARCH_LENGTHS.prefix),
  ]),
  rule(ExplainRequestSchema, ({ rawQuery }) => text('raw_query', rawQuery, MAX_SEARCH_LENGTHS.query)),
  rule(ReindexRequestSchema, ({ workflowId, range: time }) => [
    ...text('workflow_id', workflowId, MAX_ID_LENGTH),
    ...range('range', time),
  ]),
  rule(GetThroughputRequestSchema, ({ filter }) => analyticsFilter(filter)),
  rule(GetLatencyRequestSchema, ({ filter }) => analyticsFilter(filter)),
  rule(GetFailureRateRequestSchema, ({ filter }) => analyticsFilter(filter)),
  rule(GetStepHeatmapRequestSchema, ({ filter }) => analyticsFilter(filter)),
  rule(GetStepDurationRequestSchema, ({ workflowId, timeRange }) => [
    ...text('workflow_id', workflowId, MAX_ID_LENGTH),
    ...range('time_range', timeRange),
  ]),
]);

function rule<D extends DescMessage>(
  desc: D,
  check: (request: MessageShape<D>) => Violations,
): [string, (request: Message) => Violations] {
  // It is looked up by this very name.
  return [desc.typeName, check as (request: Message) => Violations];
}

function runFilter(filter: RunFilter | undefined): Violations {
  if (!filter) return [];
  return [
    ...ids('filter.workflow_ids', filter.workflowIds),
    ...count('filter.statuses', filter.statuses.length),
    ...range('filter.time_range', filter.timeRange),
    ...text('filter.foreign_id', filter.foreignId, MAX_ID_LENGTH),
    ...ids('filter.subsystem_ids', filter.subsystemIds),
    ...text('filter.trace_id', filter.traceId, MAX_ID_LENGTH),
    ...metadata('filter.metadata_match', filter.metadataMatch),
  ];
}

function analyticsFilter(filter: AnalyticsFilter | undefined): Violations {
  if (!filter) return [];
  return [
    ...text('filter.workflow_id', filter.workflowId, MAX_ID_LENGTH),
    ...text('filter.subsystem_id', filter.subsystemId, MAX_ID_LENGTH),
    ...range('filter.time_range', filter.timeRange),
    ...text('filter.granularity', filter.granularity, MAX_GRANULARITY_LENGTH),
  ];
}

function page(pagination: PaginationRequest | undefined): Violations {
  return text('pagination.cursor', pagination?.cursor ?? '', MAX_CURSOR_LENGTH);
}

function text(field: string, value: string, most: number, least: 0 | 1 = 0): Violations {
  const description = textProblem(value, most, least);
  return description === undefined ? [] : [{ field, description }];
}

function ids(field: string, values: readonly string[]): Violations {
  const tooMany = count(field, values.length);
  return tooMany.length > 0 ? tooMany : values.flatMap((id, index) => text(`${field}[${index}]`, id, MAX_ID_LENGTH, 1));
}

function count(field: string, values: number, most = MAX_FILTER_VALUES): Violations {
  return values <= most ? [] : [{ field, description: `must hold at most ${most} values, there are ${values}` }];
}

function metadata(field: string, pairs: Readonly<Record<string, string>>): Violations {
  const all = Object.entries(pairs);
  const isTooLong = all.some(([key, value]) => key.length + value.length + 1 > MAX_METADATA_PAIR_LENGTH);
  const problem = isTooLong ? `must hold pairs of at most ${MAX_METADATA_PAIR_LENGTH} characters` : undefined;
  const description = Object.hasOwn(pairs, '') ? 'must not have an empty key' : problem;
  return [
    ...count(field, all.length, MAX_METADATA_PAIRS),
    ...(description === undefined ? [] : [{ field, description }]),
  ];
}

function range(field: string, times: TimeRange | undefined): Violations {
  const { from, to } = times ?? {};
  const wrong = Object.entries({ from, to }).flatMap(([end, time]) =>
    time && !isTime(time)
      ? [{ field: `${field}.${end}`, description: 'must be a time from the year 1 to the year 9999' }]
      : [],
  );
  if (wrong.length > 0 || !from || !to || toNanos(from) <= toNanos(to)) return wrong;
  return [{ field: `${field}.to`, description: 'must not be before `from`' }];
}
