import { create } from '@bufbuild/protobuf';
import { type Suggestion, SuggestionSchema } from '../gen/flowwatch/v1/search_service_pb.js';
import { sumInt32 } from '../routing/wire-sum.js';

/** Counts of equal values are added; the most frequent first, then by value. */
export function mergeSuggestions(all: readonly Suggestion[], limit: number): Suggestion[] {
  return [...Map.groupBy(all, ({ value }) => value)]
    .map(([value, same]) => create(SuggestionSchema, { value, count: sumInt32(same.map(({ count }) => count)) }))
    .toSorted((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .slice(0, limit);
}
