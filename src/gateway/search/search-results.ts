import { Inject, Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  type SearchFacets,
  type SearchRequest,
  type SearchResponse,
  SearchResponseSchema,
  type SearchResult,
  SearchService,
} from '../gen/flowwatch/v1/search_service_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { Answer, SubsystemFailure } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { pageLimit } from '../routing/limits.js';
import { RUN_OWNERS, type RunOwners } from '../routing/run-owners.js';
import { shownId } from '../routing/shown-id.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { sumInt32 } from '../routing/wire-sum.js';
import { type FoundResult, mergeFacets, mergeResults } from './merge-search.js';
import { type SearchPlace, decodeSearchCursor, encodeSearchCursor } from './search-cursor.js';
import { SearchDirectory } from './search-directory.js';
import { SearchSource } from './search-source.js';

/** A search of all subsystems that offer it, page by page. Each page asks all again, so facets and total stay whole. */
@Injectable()
export class SearchResults {
  constructor(
    private readonly directory: SearchDirectory,
    @Inject(RUN_OWNERS) private readonly runOwners: RunOwners,
    private readonly workflowOwners: WorkflowOwners,
  ) {}

  async search(caller: Caller, request: SearchRequest): Promise<Answer<SearchResponse>> {
    const limit = pageLimit(request.pagination?.limit);
    const cursor = request.pagination?.cursor;
    const places = cursor ? decodeSearchCursor(request, cursor) : new Map<string, SearchPlace>();
    const started: SearchSource[] = [];
    const asked = await this.directory.askAll(caller, async (subsystem, asking) => {
      const source = sourceOf(asking, request, subsystem, limit, places.get(subsystem.id));
      const page = await source.start();
      started.push(source);
      return page;
    });
    const sources = started.toSorted((a, b) => (a.subsystem.id < b.subsystem.id ? -1 : 1));
    const found = await mergeResults(sources, limit);
    if (caller.signal.aborted) throw ConnectError.from(caller.signal.reason, Code.Canceled);
    const pages = asked.answers.map(({ answer }) => answer);
    const left = new Map([...places, ...sources.map(({ subsystem, place }) => [subsystem.id, place] as const)]);
    const value = create(SearchResponseSchema, {
      results: this.shown(caller, found),
      facets: mergeFacets(asked.answers.map(({ subsystem, answer }) => this.facets(caller, subsystem, answer))),
      pagination: {
        nextCursor: sources.some(({ hasMore }) => hasMore) ? encodeSearchCursor(request, left) : '',
        totalCount: sumInt32(pages.map(({ pagination }) => pagination?.totalCount ?? 0)),
      },
      queryMs: Math.max(0, ...pages.map(({ queryMs }) => queryMs)),
    });
    const failures = [...asked.failures, ...sources.flatMap(failureOf)];
    return { value, failures, notes: sources.some(({ isUnstable }) => isUnstable) ? ['unstable'] : [] };
  }

  private shown({ principal }: Caller, found: readonly FoundResult[]): SearchResult[] {
    for (const { source, result } of found) {
      if (result.runId !== '') this.runOwners.seen(source.subsystem, result.runId);
    }
    return found.map(({ source: { subsystem }, result }) => {
      const owned = { subsystem, qualified: false };
      const runId = shownId(owned, result.runId, this.runOwners.isAmbiguous(result.runId, principal));
      const workflowId = shownId(
        owned,
        result.workflowId,
        this.workflowOwners.isAmbiguous(result.workflowId, principal),
      );
      // A run as a result has the id of the run.
      return { ...result, id: result.id === result.runId ? runId : result.id, runId, workflowId };
    });
  }

  /** Those of ambiguous workflows are told apart. */
  private facets({ principal }: Caller, subsystem: Subsystem, { facets }: SearchResponse): SearchFacets {
    const { workflow = {} } = facets ?? {};
    const shown = Object.entries(workflow).map(([id, count]) => {
      const isAmbiguous = this.workflowOwners.isAmbiguous(id, principal);
      return [shownId({ subsystem, qualified: false }, id, isAmbiguous), count] as const;
    });
    return { ...(facets ?? mergeFacets([])), workflow: Object.fromEntries(shown) };
  }
}

function sourceOf(
  caller: Caller,
  { query, scope, timeRange }: SearchRequest,
  subsystem: Subsystem,
  limit: number,
  place: SearchPlace | undefined,
): SearchSource {
  const most = subsystem.capabilities?.search?.maxResults ?? 0;
  const begin = { cursor: '', size: most > 0 ? Math.min(limit, most) : limit, taken: 0, last: '', best: 0 };
  const ask = (cursor: string, size: number): Promise<SearchResponse> => {
    const input = { query, scope, pagination: { cursor, limit: size }, ...(timeRange && { timeRange }) };
    return subsystem.connection.read(SearchService.method.search, input, callOptions(caller));
  };
  return new SearchSource(subsystem, ask, place ?? begin, place !== undefined);
}

function failureOf({ subsystem, failure }: SearchSource): readonly SubsystemFailure[] {
  return failure === undefined ? [] : [{ subsystemId: subsystem.id, reason: failure }];
}
