import { Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  type ExplainRequest,
  type ExplainResponse,
  ExplainResponseSchema,
  type GetIndexStatsRequest,
  type GetIndexStatsResponse,
  type ReindexRequest,
  type ReindexResponse,
  ReindexResponseSchema,
  type SearchRequest,
  type SearchResponse,
  SearchService,
  type SuggestRequest,
  type SuggestResponse,
  SuggestResponseSchema,
} from '../gen/flowwatch/v1/search_service_pb.js';
import { isCircleRefusal } from '../connections/gateway-circle.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import { type Answer, type Answers, type SubsystemFailure, wholeAnswer } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { failureReason } from '../routing/failure-reason.js';
import { allFailed, outcomeOf } from '../routing/fan-out.js';
import { pageLimit } from '../routing/limits.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { sumInt32 } from '../routing/wire-sum.js';
import { mergeIndexStats } from './merge-index-stats.js';
import { mergeSuggestions } from './merge-suggestions.js';
import { SearchDirectory } from './search-directory.js';
import { SearchResults } from './search-results.js';

@Injectable()
export class SearchAnswers implements Answers<typeof SearchService> {
  constructor(
    private readonly directory: SearchDirectory,
    private readonly results: SearchResults,
    private readonly workflowOwners: WorkflowOwners,
  ) {}

  search(caller: Caller, request: SearchRequest): Promise<Answer<SearchResponse>> {
    return this.results.search(caller, request);
  }

  /** A value counts where it is among the most frequent of a subsystem: the wire tells no others. */
  async suggest(caller: Caller, { field, prefix, limit }: SuggestRequest): Promise<Answer<SuggestResponse>> {
    const input = { field, prefix, limit: pageLimit(limit, 'limit') };
    const { answers, failures } = await this.directory.askAll(caller, ({ connection }, asking) =>
      connection.read(SearchService.method.suggest, input, callOptions(asking)),
    );
    const suggestions = mergeSuggestions(
      answers.flatMap(({ answer }) => answer.suggestions),
      input.limit,
    );
    return { value: create(SuggestResponseSchema, { suggestions }), failures, notes: [] };
  }

  /**
   * What the first that answers makes of the query, by id: parsers cannot be merged.
   *
   * @throws ConnectError as `fanOut` does.
   */
  async explain(caller: Caller, { rawQuery }: ExplainRequest): Promise<Answer<ExplainResponse>> {
    const { searching, failures: without } = this.directory.inScope(caller.principal);
    const failures: SubsystemFailure[] = [...without];
    for (const subsystem of searching) {
      const outcome = await outcomeOf(caller, subsystem, ({ connection }, asking) =>
        connection.read(SearchService.method.explain, { rawQuery }, callOptions(asking)),
      );
      if (caller.signal.aborted) throw ConnectError.from(caller.signal.reason, Code.Canceled);
      if ('answer' in outcome) return wholeAnswer(outcome.answer);
      if ('isCircle' in outcome) continue;
      if (outcome.error?.code === Code.InvalidArgument) throw outcome.error;
      failures.push(outcome.failure);
    }
    if (failures.length > 0) throw allFailed(failures);
    const error = 'no subsystem is registered that could explain it';
    return wholeAnswer(create(ExplainResponseSchema, { valid: false, error }));
  }

  /**
   * Of a workflow by its owner alone; else by each that offers search, once.
   *
   * @throws ConnectError as `fanOut` does; `unknown` if none is known to have done it and one may have.
   */
  async reindex(caller: Caller, { workflowId, range }: ReindexRequest): Promise<Answer<ReindexResponse>> {
    const time = range ? { range } : {};
    if (workflowId !== '') {
      const { subsystem, workflowId: ownId } = await this.workflowOwners.find(caller, workflowId);
      const input = { workflowId: ownId, ...time };
      return wholeAnswer(await subsystem.connection.mutate(SearchService.method.reindex, input, callOptions(caller)));
    }
    const { searching, failures: without } = this.directory.inScope(caller.principal);
    const outcomes = await Promise.all(searching.map((subsystem) => reindexAll(caller, subsystem, time)));
    const done = outcomes.flatMap((outcome) => ('runsQueued' in outcome ? [outcome.runsQueued] : []));
    const failed = outcomes.flatMap((outcome) => ('failure' in outcome ? [outcome] : []));
    const failures = [...failed.map(({ failure }) => failure), ...without];
    if (done.length === 0 && failures.length > 0) {
      const told = failed.find(({ error }) => error?.code === Code.Unknown || error?.code === Code.InvalidArgument);
      throw told?.error ?? allFailed(failures);
    }
    return { value: create(ReindexResponseSchema, { runsQueued: sumInt32(done) }), failures, notes: [] };
  }

  async getIndexStats(caller: Caller, _request?: GetIndexStatsRequest): Promise<Answer<GetIndexStatsResponse>> {
    const { answers, failures } = await this.directory.askAll(caller, ({ connection }, asking) =>
      connection.read(SearchService.method.getIndexStats, {}, callOptions(asking)),
    );
    return { value: mergeIndexStats(answers.map(({ answer }) => answer)), failures, notes: [] };
  }
}

/** Sent once: whoever does not answer may have begun all the same. */
async function reindexAll(
  caller: Caller,
  { id: subsystemId, state, connection }: Subsystem,
  time: Pick<ReindexRequest, 'range'>,
): Promise<{ runsQueued: number } | { failure: SubsystemFailure; error?: ConnectError }> {
  if (state !== 'connected') return { failure: { subsystemId, reason: state } };
  try {
    const { runsQueued } = await connection.mutate(SearchService.method.reindex, time, callOptions(caller));
    return { runsQueued };
  } catch (error) {
    // Whoever came through it has it do its own.
    if (isCircleRefusal(error)) return { runsQueued: 0 };
    return { failure: { subsystemId, reason: failureReason(error) }, error: ConnectError.from(error) };
  }
}
