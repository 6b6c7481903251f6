import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { type ListRunsRequest, RunService } from '../../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { type Run, RunSchema } from '../../src/gateway/gen/flowwatch/v1/types_pb.js';
import { FakeSubsystemConnection } from './fake-subsystem-connection.js';

export interface ListedRun {
  readonly id: string;
  /** Seconds; undefined: it has not started. */
  readonly startedAt: number | undefined;
}

/** How an engine pages. `keyset`: behind the last run; `offset`: so many from the newest, as FlowWatch's own does. */
export type Paging = 'keyset' | 'offset';

/** A subsystem that lists runs by `started_at`, the way a test wants it to. */
export class ListedSubsystem {
  readonly runs: ListedRun[] = [];
  readonly requests: ListRunsRequest[] = [];
  readonly connection: FakeSubsystemConnection;
  /** Says the length of the page for the total, as FlowWatch's own engine does. */
  saysPageLength = false;
  /** Gives the newest first, whatever it is asked for. */
  ignoresOrder = false;

  constructor(
    readonly id: string,
    private readonly paging: Paging = 'keyset',
    private readonly mostPerPage = Infinity,
    private readonly runOf: (run: ListedRun) => Run = protobufRun,
  ) {
    this.connection = new FakeSubsystemConnection((router: ConnectRouter) =>
      router.service(RunService, { listRuns: (request) => this.list(request) }),
    );
  }

  private list(request: ListRunsRequest) {
    this.requests.push(request);
    const { cursor = '', limit = 20 } = request.pagination ?? {};
    const sign = request.descending || this.ignoresOrder ? -1 : 1;
    const compare = (a: ListedRun, b: ListedRun): number =>
      sign * ((a.startedAt ?? -1) - (b.startedAt ?? -1)) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
    const all = this.runs.toSorted(compare);
    const page = Math.min(limit, this.mostPerPage);
    let from = 0;
    if (cursor !== '' && this.paging === 'offset') from = Number(cursor);
    if (cursor !== '' && this.paging === 'keyset') {
      const [startedAt, id] = JSON.parse(cursor) as [number | null, string];
      from = all.findIndex((run) => compare(run, { id, startedAt: startedAt ?? undefined }) > 0);
      if (from < 0) from = all.length;
    }
    if (Number.isNaN(from)) throw new ConnectError('a cursor of somebody else', Code.InvalidArgument);
    const runs = all.slice(from, from + page);
    const last = runs.at(-1);
    const hasMore = this.paging === 'offset' ? runs.length === page : from + page < all.length;
    const behind = this.paging === 'offset' ? String(from + page) : JSON.stringify([last?.startedAt ?? null, last?.id]);
    return {
      runs: runs.map(this.runOf),
      pagination: {
        nextCursor: hasMore && last ? behind : '',
        totalCount: this.saysPageLength ? runs.length : all.length,
      },
    };
  }
}

function protobufRun({ id, startedAt }: ListedRun): Run {
  const started = startedAt === undefined ? {} : { startedAt: timestampFromMs(startedAt * 1_000) };
  return create(RunSchema, { id, workflowId: 'deploy', ...started });
}
