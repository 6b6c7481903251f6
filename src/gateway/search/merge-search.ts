import { create } from '@bufbuild/protobuf';
import { type SearchFacets, SearchFacetsSchema, type SearchResult } from '../gen/flowwatch/v1/search_service_pb.js';
import { sumInt32 } from '../routing/wire-sum.js';
import { toNanos } from '../routing/wire-time.js';
import type { SearchSource } from './search-source.js';

export interface FoundResult {
  readonly source: SearchSource;
  readonly result: SearchResult;
}

/**
 * The next results of all: each subsystem's in its own order, those of different ones by their scores, each measured by
 * the best of its own; equal ones newest first, then by subsystem. Where results have no scores, the newest come first.
 */
export async function mergeResults(sources: readonly SearchSource[], limit: number): Promise<readonly FoundResult[]> {
  const found: FoundResult[] = [];
  while (found.length < limit) {
    const out = sources.filter((source) => source.isOut);
    if (out.length > 0) {
      await Promise.all(out.map((source) => source.readOn()));
      continue;
    }
    const source = first(sources);
    const result = source?.head;
    if (!source || !result) break;
    source.take();
    found.push({ source, result });
  }
  return found;
}

function first(sources: readonly SearchSource[]): SearchSource | undefined {
  let best: SearchSource | undefined;
  for (const source of sources) {
    if (source.head !== undefined && (best === undefined || isBefore(source, best))) best = source;
  }
  return best;
}

function isBefore(a: SearchSource, b: SearchSource): boolean {
  if (a.headScore !== b.headScore) return a.headScore > b.headScore;
  return timeOf(a.head) > timeOf(b.head);
}

function timeOf(result: SearchResult | undefined): bigint {
  const timestamp = result?.context?.timestamp;
  return timestamp ? toNanos(timestamp) : 0n;
}

/** Counts of equal values are added. */
export function mergeFacets(all: readonly SearchFacets[]): SearchFacets {
  return create(SearchFacetsSchema, {
    status: sumCounts(all.map(({ status }) => status)),
    workflow: sumCounts(all.map(({ workflow }) => workflow)),
    step: sumCounts(all.map(({ step }) => step)),
    error: sumCounts(all.map(({ error }) => error)),
  });
}

function sumCounts(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const counts of all) {
    for (const [value, count] of Object.entries(counts)) sums.set(value, sumInt32([sums.get(value) ?? 0, count]));
  }
  return Object.fromEntries(sums);
}
