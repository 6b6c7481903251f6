import { Inject, Injectable } from '@nestjs/common';
import { Code, ConnectError } from '@connectrpc/connect';
import { LRUCache } from 'lru-cache';
import { type Scope, ALL_TENANTS, SYSTEM_SCOPE, isInScope } from '../../auth/principal.js';
import { abortable } from '../../runtime/abortable.js';
import { type Clock, CLOCK } from '../../runtime/clock.js';
import { type Random, RANDOM } from '../../runtime/random.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { Caller } from './caller.js';
import { ambiguousId, nobodyHas, requireConnected } from './owner-error.js';
import { parseQualifiedId } from './qualified-id.js';
import { type LookedUp, RunLookup } from './run-lookup.js';
import type { OwnedRun, RunOwners } from './run-owners.js';
import { within } from './time-for-calls.js';

/** What is known of one run id. Never changed, so that runs of which the same is known share it. */
interface RunEntry {
  /** Of any tenant; those that have been removed since are left out when it is read. */
  readonly owners: readonly Subsystem[];
  /** The last look-up in which every connected subsystem answered; undefined if its owners were only seen. */
  readonly lookedFor?: { readonly tenantId: string; readonly epoch: number } | undefined;
}

const NOBODY: readonly Subsystem[] = [];

interface SharedLookup {
  readonly lookup: RunLookup;
  waiting: number;
}

/**
 * Remembers which subsystem each run was last seen at: by the id it is registered under, never by what a payload says.
 * A bare id of which not exactly one owner is known is looked for at all subsystems in scope, once however many ask.
 */
@Injectable()
export class CachedRunOwners implements RunOwners {
  private readonly entries: LRUCache<string, RunEntry>;
  private readonly seenOnly = new WeakMap<Subsystem, RunEntry>();
  private readonly removed = new WeakSet<Subsystem>();
  private readonly lookups = new Map<string, SharedLookup>();
  /** Counts subsystems that became connected: an older look-up has not asked them. */
  private epoch = 0;
  private readonly counts = { hits: 0, lookups: 0 };

  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Pick<Random, 'uuid'>,
    @Inject(gatewayConfig.token) { runCacheSize }: Pick<GatewayConfig, 'runCacheSize'>,
  ) {
    this.entries = new LRUCache({ max: runCacheSize });
    directory.onChange(({ kind, subsystem }) => {
      if (kind === 'removed') this.removed.add(subsystem);
      else this.removed.delete(subsystem);
      if (kind === 'connected') this.epoch += 1;
    });
  }

  find(caller: Caller, runId: string): Promise<OwnedRun> {
    return this.locate(caller, runId, false);
  }

  findSole(caller: Caller, runId: string): Promise<OwnedRun> {
    return this.locate(caller, runId, true);
  }

  seen(subsystem: Subsystem, runId: string): void {
    const entry = this.entries.get(runId);
    if (entry?.owners.length === 1 && entry.owners[0] === subsystem) return;
    const owners = this.ownersOf(entry, SYSTEM_SCOPE);
    if (owners.includes(subsystem) || this.removed.has(subsystem)) return;
    this.entries.set(runId, owners.length === 0 ? this.seenOnlyAt(subsystem) : { owners: [...owners, subsystem] });
  }

  forget(subsystem: Subsystem, runId: string): void {
    const entry = this.entries.peek(runId);
    if (entry) this.keep(runId, { owners: entry.owners.filter((owner) => owner !== subsystem) });
  }

  knownOwner(scope: Scope, runId: string): Subsystem | undefined {
    const qualified = this.qualified(scope, runId);
    if (qualified) return qualified.subsystem;
    const [owner, ...others] = this.ownersOf(this.entries.peek(runId), scope);
    return others.length === 0 ? owner : undefined;
  }

  isAmbiguous(runId: string, scope: Scope = SYSTEM_SCOPE): boolean {
    if (this.ownersOf(this.entries.peek(runId), scope).length > 1) return true;
    return runId.includes('~') && this.qualified(scope, runId) !== undefined;
  }

  /** For metrics: `hits` were answered from memory, `lookups` asked the subsystems. */
  figures(): { readonly size: number; readonly hits: number; readonly lookups: number } {
    return { size: this.entries.size, ...this.counts };
  }

  private async locate(caller: Caller, text: string, sole: boolean): Promise<OwnedRun> {
    const scope = caller.principal;
    const qualified = this.qualified(scope, text);
    if (qualified) {
      requireConnected(qualified.subsystem);
      return qualified;
    }
    const entry = this.entries.get(text);
    const known = this.ownersOf(entry, scope);
    if (known.length === 1 && known[0]) {
      const subsystem = requireConnected(known[0]);
      if (!sole || this.wasLookedFor(entry, scope)) {
        this.counts.hits += 1;
        return { subsystem, runId: text, qualified: false };
      }
    }
    const failures = await this.lookUp(caller, text, sole);
    const [owner, ...others] = this.ownersOf(this.entries.peek(text), scope);
    if (!owner) throw nobodyHas('run', text, failures);
    if (others.length > 0) throw ambiguousId('run', text, [owner, ...others]);
    return { subsystem: requireConnected(owner), runId: text, qualified: false };
  }

  /** undefined for a bare id, which may well hold a `~`: one that a gateway behind us has qualified. */
  private qualified(scope: Scope, text: string): OwnedRun | undefined {
    const parts = parseQualifiedId(text);
    const subsystem = parts && this.directory.find(scope, parts.subsystemId);
    return subsystem && { subsystem, runId: parts.id, qualified: true };
  }

  /** Asks all in scope, and keeps what they say. */
  private async lookUp(caller: Caller, runId: string, all: boolean): Promise<LookedUp['failures']> {
    const { epoch } = this;
    const key = JSON.stringify([caller.principal.tenantId, epoch, caller.gatewayPath, runId]);
    const shared = this.lookups.get(key) ?? this.startLookup(key, caller, runId);
    shared.waiting += 1;
    try {
      const answered = all ? shared.lookup.complete : shared.lookup.soon;
      await abortable(within(this.clock, caller.timeoutMs, answered), caller.signal);
    } catch (error) {
      throw ConnectError.from(error, Code.Canceled);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0) {
        this.lookups.delete(key);
        shared.lookup.abandon();
      }
    }
    const { result } = shared.lookup;
    this.learn(runId, result, { tenantId: caller.principal.tenantId, epoch });
    return result.failures;
  }

  private startLookup(key: string, { principal, gatewayPath }: Caller, runId: string): SharedLookup {
    this.counts.lookups += 1;
    const { clock, random } = this;
    const lookup = new RunLookup(this.directory.list(principal), runId, gatewayPath, { clock, random });
    const shared = { lookup, waiting: 0 };
    this.lookups.set(key, shared);
    return shared;
  }

  private learn(runId: string, { owners, absent, failures }: LookedUp, lookedFor: RunEntry['lookedFor']): void {
    const others = this.ownersOf(this.entries.peek(runId), SYSTEM_SCOPE).filter((owner) => !absent.includes(owner));
    const present = owners.filter((owner) => !this.removed.has(owner));
    // One that is not connected now raises the epoch when it is; one that failed to answer may have the run all the same.
    const askedAll = failures.every(({ reason }) => reason === 'stale' || reason === 'connecting');
    this.keep(runId, { owners: [...new Set([...others, ...present])], lookedFor: askedAll ? lookedFor : undefined });
  }

  private keep(runId: string, entry: RunEntry): void {
    if (entry.owners.length > 0) this.entries.set(runId, entry);
    else this.entries.delete(runId);
  }

  private wasLookedFor(entry: RunEntry | undefined, { tenantId }: Scope): boolean {
    const lookedFor = entry?.lookedFor;
    if (!lookedFor || lookedFor.epoch !== this.epoch) return false;
    return lookedFor.tenantId === ALL_TENANTS || lookedFor.tenantId === tenantId;
  }

  private ownersOf(entry: RunEntry | undefined, scope: Scope): readonly Subsystem[] {
    if (!entry) return NOBODY;
    const isThere = (owner: Subsystem): boolean => isInScope(scope, owner.tenantId) && !this.removed.has(owner);
    return entry.owners.every(isThere) ? entry.owners : entry.owners.filter(isThere);
  }

  private seenOnlyAt(subsystem: Subsystem): RunEntry {
    const shared = this.seenOnly.get(subsystem) ?? { owners: [subsystem] };
    this.seenOnly.set(subsystem, shared);
    return shared;
  }
}
