import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { Inject, Injectable } from '@nestjs/common';
import { isCircleRefusal } from '../connections/gateway-circle.js';
import { readToldMessage } from '../connections/told-message.js';
import {
  type UndecodedListRunsResponse,
  UndecodedListRunsResponseSchema,
} from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import {
  type ListRunsRequest,
  type ListRunsRequestSchema,
  type ListRunsResponse,
  ListRunsResponseSchema,
  type RunFilter,
  RunFilterSchema,
  RunService,
} from '../gen/flowwatch/v1/run_service_pb.js';
import { type Run, RunSchema } from '../gen/flowwatch/v1/types_pb.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { Answer, SubsystemFailure } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { fanOut } from '../routing/fan-out.js';
import { pageLimit } from '../routing/limits.js';
import { formatQualifiedId } from '../routing/qualified-id.js';
import { RUN_OWNERS, type RunOwners } from '../routing/run-owners.js';
import { selectSubsystems } from '../routing/subsystem-selection.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { filterMatcher, listDigest } from './list-filter.js';
import { type MergedPage, type MergedRun, mergeRuns, sizeOfCall } from './list-merge.js';
import { ListSource } from './list-source.js';
import { type CursorPlace, type RunCursor, decodeRunCursor, encodeRunCursor } from './run-cursor.js';
import { type RunOrder, runOrder } from './run-order.js';
import { readWorkflowId, withIds } from './undecoded-run.js';

interface Listing {
  readonly page: MergedPage;
  readonly pagination: { readonly nextCursor: string; readonly totalCount: number };
  readonly failures: readonly SubsystemFailure[];
  readonly isUnstable: boolean;
}

/** Who each is asked as: the time of its turn is for all calls of the page. */
type Turns = Map<Subsystem, Caller>;

const METHOD = { ...RunService.method.listRuns, output: UndecodedListRunsResponseSchema };
const NEW_CURSOR: RunCursor = { upTo: undefined, places: new Map() };
const MAX_INT32 = 2 ** 31 - 1;

/**
 * The runs of all subsystems as one list: in one order, page by page, through subsystems that come, go and fail.
 *
 * `total_count` is the sum of what the subsystems say, 0 (unknown) unless all do. `unstable`: a run is listed behind its
 * place in the order (its subsystem was missing on an earlier page, or does not keep the order), or runs may be missing
 * (the last one that was listed is gone from its subsystem). A run is never listed twice as long as it stays where it is
 * in the order of its subsystem.
 */
@Injectable()
export class RunList {
  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    @Inject(RUN_OWNERS) private readonly owners: RunOwners,
    private readonly workflowOwners: WorkflowOwners,
  ) {}

  /** For clients that read JSON. A run that cannot be decoded is left out, and its subsystem named as `failed`. */
  async listRuns(caller: Caller, request: ListRunsRequest): Promise<Answer<ListRunsResponse>> {
    const listing = await this.list(caller, request);
    const failures = [...listing.failures];
    const runs = this.shown(caller, request, listing.page.runs).flatMap((bytes, i): Run[] => {
      try {
        return [readToldMessage(RunSchema, bytes)];
      } catch {
        // Only its outline was read before. What is wrong with it, its subsystem has to find out.
        const subsystemId = listing.page.runs[i]?.source.subsystem.id ?? '';
        if (!failures.some((failure) => failure.subsystemId === subsystemId))
          failures.push({ subsystemId, reason: 'failed' });
        return [];
      }
    });
    const value = create(ListRunsResponseSchema, { runs, pagination: listing.pagination });
    return { value, failures, notes: listing.isUnstable ? ['unstable'] : [] };
  }

  /** For clients that read Protocol Buffers: the runs are the bytes that came. */
  async listRunsUndecoded(caller: Caller, request: ListRunsRequest): Promise<Answer<UndecodedListRunsResponse>> {
    const { page, pagination, failures, isUnstable } = await this.list(caller, request);
    const runs = this.shown(caller, request, page.runs);
    const value = create(UndecodedListRunsResponseSchema, { runs, pagination });
    return { value, failures, notes: isUnstable ? ['unstable'] : [] };
  }

  private async list(caller: Caller, request: ListRunsRequest): Promise<Listing> {
    const order = runOrder(request);
    const limit = pageLimit(request.pagination?.limit);
    const digest = listDigest(request.filter, order);
    const text = request.pagination?.cursor ?? '';
    const cursor = text === '' ? NEW_CURSOR : decodeRunCursor(text, digest);

    const asked = this.asked(caller, request);
    const places = new Map(cursor.places);
    const sources: ListSource[] = [];
    const turns: Turns = new Map();
    const totals: Array<number | undefined> = [];
    for (const { subsystem, filter } of asked) {
      const from = places.get(subsystem.id) ?? { cursor: '', taken: 0, floor: cursor.upTo };
      if ('finished' in from) totals.push(from.total);
      else sources.push(new ListSource(subsystem, question(caller, subsystem, filter, order, turns), from));
    }

    const page = await mergedPage(caller, sources, order, limit, cursor, turns);
    const failures = sources.flatMap(({ subsystem, failure: reason }) =>
      reason ? [{ subsystemId: subsystem.id, reason }] : [],
    );
    let isOver = true;
    for (const source of sources) {
      const place = placeOf(source, page);
      places.set(source.subsystem.id, place);
      isOver &&= 'finished' in place;
      totals.push(source.failure ? undefined : source.total);
    }
    return {
      page,
      pagination: {
        nextCursor: isOver ? '' : encodeRunCursor({ upTo: page.upTo, places }, digest),
        totalCount: sumOf(totals),
      },
      failures,
      isUnstable: page.isLate || sources.some(({ lostPlace, repeats }) => lostPlace || repeats),
    };
  }

  /** Who is asked, and for what. */
  private asked(
    { principal }: Caller,
    { filter = create(RunFilterSchema) }: ListRunsRequest,
  ): Array<{ subsystem: Subsystem; filter: RunFilter }> {
    const workflowIds = filter.workflowIds.map((text) => ({
      text,
      owned: this.workflowOwners.qualified(principal, text),
    }));
    return selectSubsystems(this.directory.list(principal), filter.subsystemIds).flatMap(({ subsystem, domainIds }) => {
      const ids = workflowIds.flatMap(({ text, owned }) => {
        if (!owned) return [text];
        return owned.subsystem === subsystem ? [owned.workflowId] : [];
      });
      if (ids.length === 0 && workflowIds.length > 0) return [];
      return [{ subsystem, filter: { ...filter, workflowIds: ids, subsystemIds: [...domainIds] } }];
    });
  }

  /** The bytes of the runs, under the ids that tell them apart; their owners are remembered. */
  private shown({ principal }: Caller, { filter }: ListRunsRequest, runs: readonly MergedRun[]): Uint8Array[] {
    for (const { source, run } of runs) this.owners.seen(source.subsystem, run.id);
    const asked = new Set(filter?.workflowIds.filter((id) => id.includes('~')));
    return runs.map(({ source, run }) => {
      const qualify = (id: string): string => formatQualifiedId({ subsystemId: source.subsystem.id, id });
      const runId = this.owners.isAmbiguous(run.id, principal) ? qualify(run.id) : undefined;
      const workflowId = readWorkflowId(run.bytes);
      const wasAsked = asked.size > 0 && asked.has(qualify(workflowId));
      const isQualified = wasAsked || this.workflowOwners.isAmbiguous(workflowId, principal);
      return withIds(run.bytes, { runId, workflowId: isQualified ? qualify(workflowId) : undefined });
    });
  }
}

function question(
  caller: Caller,
  subsystem: Subsystem,
  filter: RunFilter,
  order: RunOrder,
  turns: Turns,
): ConstructorParameters<typeof ListSource>[1] {
  const base = { filter, orderBy: order.name, descending: order.descending };
  return {
    order,
    matches: filterMatcher(filter),
    ask: async (cursor, limit) => {
      const request: MessageInitShape<typeof ListRunsRequestSchema> = { ...base, pagination: { cursor, limit } };
      try {
        return await subsystem.connection.read(METHOD, request, callOptions(turns.get(subsystem) ?? caller));
      } catch (error) {
        // It lists nothing that whoever came through it does not list already.
        if (isCircleRefusal(error)) return create(UndecodedListRunsResponseSchema);
        throw error;
      }
    },
  };
}

async function mergedPage(
  caller: Caller,
  sources: readonly ListSource[],
  order: RunOrder,
  limit: number,
  { upTo }: RunCursor,
  turns: Turns,
): Promise<MergedPage> {
  const bySubsystem = new Map(sources.map((source) => [source.subsystem, source]));
  const share = Math.ceil(limit / sources.length);
  const size = sizeOfCall(limit, sources.length);
  const { failures } = await fanOut(
    caller,
    sources.map(({ subsystem }) => subsystem),
    async (subsystem, asking) => {
      turns.set(subsystem, asking);
      await bySubsystem.get(subsystem)?.fill(share, size);
    },
  );
  const reasons = new Map(failures.map(({ subsystemId, reason }) => [subsystemId, reason]));
  for (const source of sources) source.failure = reasons.get(source.subsystem.id);
  const page = await mergeRuns(sources, order, limit, upTo);
  const { signal } = caller;
  if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
  return page;
}

/** One that does not offer this never will; the list does not wait for it. */
function placeOf(source: ListSource, { upTo }: MergedPage): CursorPlace {
  return source.failure === 'unimplemented' ? { finished: true, total: undefined } : source.placeAfter(upTo);
}

function sumOf(totals: ReadonlyArray<number | undefined>): number {
  let sum = 0;
  for (const total of totals) {
    if (total === undefined) return 0;
    sum += total;
  }
  return sum > MAX_INT32 ? 0 : sum;
}
