import { z } from 'zod';
import {
  SearchResultTypeSchema,
  SearchScopeSchema,
  type SearchFacets,
  type SearchResult,
} from '../gen/flowwatch/v1/search_service_pb.js';
import { RunStatusSchema } from '../gen/flowwatch/v1/types_pb.js';
import { MAX_SEARCH_LENGTHS } from '../routing/limits.js';
import { countedPageSchema, told } from './answer-view.js';
import { gatewayPageQuery } from './gateway-query.js';
import { owner } from './run-view.js';
import { checkRange, rangeQuery, textOf, textSchema, timeOf, timeSchema } from './wire-values.js';
import { wordOf, wordSchema, wordsOf } from './wire-words.js';

export const GatewaySearchQuery = z
  .strictObject({
    ...gatewayPageQuery,
    query: z
      .string()
      .max(MAX_SEARCH_LENGTHS.query)
      .meta({ description: 'As the subsystems understand it.', example: 'timeout' }),
    scope: z.enum(wordsOf(SearchScopeSchema)).default('all'),
    ...rangeQuery,
  })
  .superRefine(checkRange);
export type GatewaySearchQuery = z.infer<typeof GatewaySearchQuery>;

export const GatewaySuggestQuery = z.strictObject({
  field: z
    .string()
    .min(1)
    .max(MAX_SEARCH_LENGTHS.field)
    .meta({ description: 'Of which values are suggested.', example: 'workflow' }),
  prefix: z.string().max(MAX_SEARCH_LENGTHS.prefix).default(''),
  limit: gatewayPageQuery.limit,
});
export type GatewaySuggestQuery = z.infer<typeof GatewaySuggestQuery>;

export const GatewaySearchResult = z
  .object({
    id: z.string(),
    type: wordSchema(SearchResultTypeSchema),
    runId: textSchema,
    workflowId: textSchema,
    subsystemId: owner,
    score: z.number(),
    highlights: z.record(z.string(), z.array(z.string())).meta({ description: 'Fragments found, by field.' }),
    runStatus: wordSchema(RunStatusSchema),
    stepName: textSchema,
    timestamp: timeSchema,
    foreignId: textSchema,
  })
  .meta({ id: 'GatewaySearchResult' });
export type GatewaySearchResult = z.infer<typeof GatewaySearchResult>;

const counts = z.record(z.string(), z.int());
const facets = z.object({ status: counts, workflow: counts, step: counts, error: counts });

export const GatewaySearchPage = countedPageSchema(GatewaySearchResult, 'GatewaySearchResultPage')
  .extend({ facets, queryMs: z.int().meta({ description: 'That the slowest took by its own account.' }) })
  .meta({ id: 'GatewaySearchPage' });
export type GatewaySearchPage = z.infer<typeof GatewaySearchPage>;

export const GatewaySuggestions = z
  .object({
    items: z.array(z.object({ value: z.string(), count: z.int() })),
    nextCursor: z.null(),
    ...told,
  })
  .meta({ id: 'GatewaySuggestions' });
export type GatewaySuggestions = z.infer<typeof GatewaySuggestions>;

export function searchResultView(result: SearchResult, subsystemId: string | null): GatewaySearchResult {
  const { context } = result;
  return {
    id: result.id,
    type: wordOf(SearchResultTypeSchema, result.type),
    runId: textOf(result.runId),
    workflowId: textOf(result.workflowId),
    subsystemId,
    // JSON has no NaN and no infinity.
    score: Number.isFinite(result.score) ? result.score : 0,
    highlights: Object.fromEntries(
      Object.entries(result.highlights).map(([field, { fragments }]) => [field, fragments]),
    ),
    runStatus: wordOf(RunStatusSchema, context?.runStatus ?? 0),
    stepName: textOf(context?.stepName ?? ''),
    timestamp: timeOf(context?.timestamp),
    foreignId: textOf(context?.foreignId ?? ''),
  };
}

export function facetsView(found: SearchFacets | undefined): z.infer<typeof facets> {
  const { status = {}, workflow = {}, step = {}, error = {} } = found ?? {};
  return { status, workflow, step, error };
}
