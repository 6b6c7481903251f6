import { LRUCache } from 'lru-cache';
import { type Principal, type Scope, isInScope, SYSTEM_SCOPE } from '../../auth/principal.js';
import type { StreamItem } from '../../realtime/index.js';
import { abortable } from '../../runtime/abortable.js';
import type { Clock } from '../../runtime/clock.js';
import { StopReason } from '../../runtime/stop-reason.js';
import type { RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { FailureReason, Feed } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { formatQualifiedId } from '../routing/qualified-id.js';
import type { RunChange } from '../live/run-change.js';
import { runView } from '../rest/run-view.js';

/** Runs in a snapshot, the ones that changed last. */
const MAX_RUNS = 1_000;
/** How long the first snapshot waits for what the subsystems have. */
const GATHER_MS = 500;
const LOOK_MS = 1_000;

export type Publish = (tenantId: string, item: StreamItem) => void;

/** How the runs of a subsystem come: as they change, by asking again and again, or not at all for now. */
interface Part {
  readonly subsystemId: string;
  readonly state: 'live' | 'polled' | 'missing';
  readonly reason: FailureReason | null;
}

interface Kept {
  readonly tenantId: string;
  readonly item: StreamItem;
}

export interface RunStreamWatchOptions {
  readonly open: (caller: Caller) => Feed<RunChange> & { readonly subsystems: readonly Subsystem[] };
  /** Runs in any of them; empty: whatever it is. */
  readonly statuses: ReadonlySet<RunStatus>;
  readonly publish: Publish;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** The runs that one stream key is of, whatever their tenant: their state as long as somebody follows, and its changes. */
export class RunStreamWatch {
  private readonly end = new AbortController();
  private readonly runs = new LRUCache<string, Kept>({ max: MAX_RUNS });
  private readonly parts = new Map<string, Kept>();
  private readonly gathered: Promise<void>;
  private readonly done: Promise<unknown>;
  private version = 0;

  constructor(private readonly options: RunStreamWatchOptions) {
    const { signal } = this.end;
    this.gathered = options.clock.sleep(GATHER_MS, signal).catch(() => undefined);
    this.done = this.run(signal);
  }

  /** What the scope may see: how each subsystem's part comes, then the runs, the one that changed longest ago first. */
  async snapshot(scope: Scope): Promise<readonly StreamItem[]> {
    await abortable(this.gathered, this.end.signal);
    const kept = [...this.parts.values(), ...this.runs.rvalues()];
    return kept.flatMap((each) => (each && isInScope(scope, each.tenantId) ? each.item : []));
  }

  async stop(): Promise<void> {
    this.end.abort(new StopReason('a stream of runs'));
    await this.done;
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { clock, open, onError } = this.options;
    while (!signal.aborted) {
      try {
        await this.follow(open({ principal: WATCHER, signal }), signal);
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
        await clock.sleep(LOOK_MS, signal).catch(() => undefined);
      }
    }
  }

  private async follow(feed: ReturnType<RunStreamWatchOptions['open']>, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const looks = this.lookAt(feed, AbortSignal.any([signal, over.signal]));
    try {
      for await (const change of feed) this.take(change);
    } finally {
      over.abort(new StopReason('the feed'));
      await looks;
    }
  }

  private take(change: RunChange): void {
    const { id: subsystemId, tenantId } = change.subsystem;
    const { run } = change.decoded({ tenantId });
    if (!run) return;
    const entity = formatQualifiedId({ subsystemId, id: change.run.id });
    const item = this.item('gateway_run_update', entity, runView(run, subsystemId));
    const { statuses } = this.options;
    if (statuses.size === 0 || statuses.has(run.status)) this.runs.set(entity, { tenantId, item });
    // One that is not followed any more is shown for the last time, so that nobody takes it for what it was.
    else if (!this.runs.delete(entity)) return;
    this.options.publish(tenantId, item);
  }

  /** Says of each subsystem how its part comes, when that changes. */
  private async lookAt(feed: ReturnType<RunStreamWatchOptions['open']>, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.options.clock.sleep(this.parts.size === 0 ? GATHER_MS / 2 : LOOK_MS, signal);
      } catch {
        return;
      }
      this.look(feed);
    }
  }

  private look({ subsystems, failures, polled }: ReturnType<RunStreamWatchOptions['open']>): void {
    const reasons = new Map(failures.map(({ subsystemId, reason }) => [subsystemId, reason]));
    const gone = new Set(this.parts.keys());
    for (const { id: subsystemId, tenantId } of subsystems) {
      gone.delete(subsystemId);
      const reason = reasons.get(subsystemId) ?? null;
      const state = reason !== null ? 'missing' : polled.includes(subsystemId) ? 'polled' : 'live';
      this.tellPart(tenantId, { subsystemId, state, reason });
    }
    for (const subsystemId of gone) this.tellGone(subsystemId);
  }

  private tellPart(tenantId: string, part: Part): void {
    const known = this.parts.get(part.subsystemId)?.item.data as Part | undefined;
    if (known?.state === part.state && known.reason === part.reason) return;
    const item = this.item('gateway_subsystem_update', partEntity(part.subsystemId), part);
    this.parts.set(part.subsystemId, { tenantId, item });
    this.options.publish(tenantId, item);
  }

  /** Its runs are no longer ours to show. */
  private tellGone(subsystemId: string): void {
    const { tenantId } = this.parts.get(subsystemId) ?? {};
    this.parts.delete(subsystemId);
    const prefix = formatQualifiedId({ subsystemId, id: '' });
    for (const entity of [...this.runs.keys()].filter((each) => each.startsWith(prefix))) this.runs.delete(entity);
    if (tenantId === undefined) return;
    const data = { subsystemId, state: 'removed', reason: null };
    this.options.publish(tenantId, this.item('gateway_subsystem_update', partEntity(subsystemId), data));
  }

  private item(eventType: StreamItem['eventType'], entity: string, data: unknown): StreamItem {
    this.version += 1;
    return { eventType, entity, version: this.version, data };
  }
}

/** Watches for all tenants; each is shown its own. */
const WATCHER: Principal = { ...SYSTEM_SCOPE, kind: 'user', id: 'event streams', role: 'viewer' };

/** No run's: a qualified id begins with its subsystem. */
function partEntity(subsystemId: string): string {
  return `~${subsystemId}`;
}
