import { Inject, Injectable, Logger } from '@nestjs/common';
import { type AuditEntry, AuditLog } from '../../audit/index.js';
import { ALL_TENANTS } from '../../auth/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { PeriodicTask } from '../../runtime/periodic-task.js';
import type { Runnable } from '../../runtime/runnable.js';
import type { TokenRefused } from './token-refused.js';

const PERIOD_MS = 60_000;
/** Tokens and reasons told apart in one period. Only who has had the secret of a token is told of by its id. */
const MAX_ROWS = 100;

/**
 * Tells the audit log of refused bootstrap tokens: once a minute, one row with a count for each token and reason, so that
 * nobody fills the log by guessing. All that is more than a hundred of them is one row together.
 */
@Injectable()
export class RefusedRegistrations implements Runnable {
  readonly name = 'refused registrations';
  private readonly log = new Logger(RefusedRegistrations.name);
  private readonly counts = new Map<string, { readonly entry: AuditEntry; count: number }>();
  private readonly task: PeriodicTask;
  private isStopped = false;

  constructor(
    @Inject(AuditLog) private readonly audit: Pick<AuditLog, 'record'>,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.task = new PeriodicTask({
      name: this.name,
      periodMs: PERIOD_MS,
      runOnce: () => Promise.resolve(this.tell()),
      onError: (error) => this.log.error({ message: 'refused registrations could not be told', error }),
      clock,
    });
  }

  note(refused: TokenRefused): void {
    const entry = entryOf(refused);
    const key = `${entry.target?.id} ${entry.reason}`;
    const known = this.counts.get(key);
    const isFull = this.counts.size >= MAX_ROWS;
    if (known) known.count += 1;
    else if (isFull) this.count('others', { ...entry, tenantId: ALL_TENANTS, target: null, reason: 'others' });
    else this.count(key, entry);
    // The last requests of a service that stops.
    if (this.isStopped) this.tell();
  }

  async start(): Promise<void> {
    await this.task.start();
  }

  async stop(): Promise<void> {
    await this.task.stop();
    this.isStopped = true;
    this.tell();
  }

  private count(key: string, entry: AuditEntry): void {
    const count = (this.counts.get(key)?.count ?? 0) + 1;
    this.counts.set(key, { entry, count });
  }

  private tell(): void {
    for (const { entry, count } of this.counts.values()) this.audit.record({ ...entry, detail: { count } });
    this.counts.clear();
  }
}

function entryOf({ reason, token }: TokenRefused): AuditEntry {
  return {
    tenantId: token?.tenantId ?? ALL_TENANTS,
    actor: { kind: 'subsystem', id: 'agent-registration' },
    action: 'bootstrap-token.refuse',
    target: token ? { type: 'bootstrap-token', id: token._id.toHexString() } : null,
    outcome: 'failure',
    reason,
  };
}
