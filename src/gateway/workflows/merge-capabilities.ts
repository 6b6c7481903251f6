import { create } from '@bufbuild/protobuf';
import {
  type Capabilities,
  CapabilitiesSchema,
  type SearchCapabilities,
  SearchCapabilitiesSchema,
} from '../gen/flowwatch/v1/types_pb.js';

/**
 * What the gateway offers: whatever any of them does, since each request goes to those that do. It streams as soon as
 * there is one, by asking again and again where the subsystem does not.
 */
export function uniteCapabilities(all: readonly Capabilities[]): Capabilities {
  const offers = (has: (capabilities: Capabilities) => boolean): boolean => all.some(has);
  const search = all.map((capabilities) => capabilities.search).filter((each) => each?.enabled === true);
  return create(CapabilitiesSchema, {
    retryRun: offers(({ retryRun }) => retryRun),
    retryFromStep: offers(({ retryFromStep }) => retryFromStep),
    cancelRun: offers(({ cancelRun }) => cancelRun),
    pauseRun: offers(({ pauseRun }) => pauseRun),
    resumeRun: offers(({ resumeRun }) => resumeRun),
    skipStep: offers(({ skipStep }) => skipStep),
    streaming: all.length > 0,
    analytics: offers(({ analytics }) => analytics),
    search: uniteSearch(search.filter((each) => each !== undefined)),
  });
}

/**
 * What may be found is what any of them finds; what may be asked is what all of them understand. Retention is the
 * shortest that is told: older entries are not sure to be found.
 */
function uniteSearch(all: readonly SearchCapabilities[]): SearchCapabilities {
  return create(SearchCapabilitiesSchema, {
    enabled: all.length > 0,
    engine: sortedUnion(all.map(({ engine }) => engine)).join(', '),
    scopes: sortedUnion(all.flatMap(({ scopes }) => scopes)),
    queryLanguage: all.length > 0 && all.every(({ queryLanguage }) => queryLanguage),
    maxResults: leastTold(all.map(({ maxResults }) => maxResults)),
    payloadIndexed: all.some(({ payloadIndexed }) => payloadIndexed),
    logIndexed: all.some(({ logIndexed }) => logIndexed),
    logRetentionDays: leastTold(all.map(({ logRetentionDays }) => logRetentionDays)),
    payloadRetentionDays: leastTold(all.map(({ payloadRetentionDays }) => payloadRetentionDays)),
  });
}

function sortedUnion(texts: readonly string[]): string[] {
  return [...new Set(texts.filter((text) => text !== ''))].toSorted();
}

/** 0 is "not told" on the wire. */
function leastTold(numbers: readonly number[]): number {
  const told = numbers.filter((number) => number > 0);
  return told.length > 0 ? Math.min(...told) : 0;
}
