import { Inject, Injectable, Logger } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import { abortable } from '../runtime/abortable.js';
import { Backoff } from '../runtime/backoff.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import type { Runnable } from '../runtime/runnable.js';
import { type Authenticator, Authenticators } from '../sealing/index.js';
import type { AuditEntry } from './audit-entry.js';
import { AuditLogMetrics } from './audit-log.metrics.js';
import { type AuditRow, auditRow } from './audit-row.js';
import { AuditRowsRepository } from './audit-rows.repository.js';

export const AUDIT_ROW_PURPOSE = 'audit row';

const MAX_WAITING = 10_000;
const BATCH = 500;
const APPEND_TIMEOUT_MS = 5_000;
const RETRY = { baseMs: 100, maxMs: 5_000 } as const;

interface Waiting {
  readonly row: AuditRow;
  readonly onStored: (() => void) | undefined;
}

/**
 * Where every room tells what was done. Two ways: `append` for what must not happen unaudited, such as handing out a
 * credential, and `record` for the rest. Both go through one queue of at most 10 000 rows, stored in the order of
 * arrival, many at a time under load, and tried again while the database does not answer. A row that finds the queue
 * full is lost: counted, logged, and told by a row of its own (`audit.lose`) as soon as there is room. What was
 * recorded but not stored yet is lost with a process that is killed; what was appended is not.
 */
@Injectable()
export class AuditLog implements Runnable {
  readonly name = 'audit log';
  private readonly log = new Logger(AuditLog.name);
  private readonly authenticator: Authenticator;
  private readonly backoff: Backoff;
  private readonly queue: Waiting[] = [];
  private readonly cut = new AbortController();
  private state: 'new' | 'running' | 'stopped' = 'new';
  private writing: Promise<void> | undefined;
  /** Not told by a row yet. */
  private lost = 0;

  constructor(
    @Inject(AuditRowsRepository) private readonly rows: Pick<AuditRowsRepository, 'insert'>,
    authenticators: Authenticators,
    private readonly metrics: AuditLogMetrics,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) random: Random,
  ) {
    this.authenticator = authenticators.of(AUDIT_ROW_PURPOSE);
    this.backoff = new Backoff(RETRY, random);
  }

  /**
   * Resolves when the entry is stored. A caller that hands out a credential awaits it before it does.
   *
   * @throws AppError `service.unavailable` when that took longer than 5 s (the row is stored later, if at all possible)
   * or the queue is full.
   */
  async append(entry: AuditEntry): Promise<void> {
    const stored = Promise.withResolvers<void>();
    if (!this.enqueue(entry, stored.resolve)) throw unavailable('too much waits to be written to it');
    const late = this.clock.after(APPEND_TIMEOUT_MS, () => stored.reject(unavailable('the database does not answer')));
    try {
      await stored.promise;
    } finally {
      late.cancel();
    }
  }

  /** Stores the entry soon, without making anybody wait. */
  record(entry: AuditEntry): void {
    this.enqueue(entry, undefined);
  }

  start(): Promise<void> {
    if (this.state === 'new') this.state = 'running';
    this.write();
    return Promise.resolve();
  }

  /** Stores what waits, until the deadline; what is left then is lost. */
  async stop(deadline: AbortSignal): Promise<void> {
    if (this.state === 'running') {
      const onDeadline = (): void => this.cut.abort(deadline.reason);
      deadline.addEventListener('abort', onDeadline, { once: true });
      if (deadline.aborted) onDeadline();
      await this.writing;
      deadline.removeEventListener('abort', onDeadline);
    }
    this.state = 'stopped';
    this.lose(this.queue.splice(0).length, 'the service stopped before they were stored');
  }

  private enqueue(entry: AuditEntry, onStored: (() => void) | undefined): boolean {
    if (this.state === 'stopped' || this.queue.length >= MAX_WAITING) {
      this.lose(1, this.state === 'stopped' ? 'the audit log has stopped' : 'the queue is full');
      return false;
    }
    const row = auditRow(entry, new Date(this.clock.now()), this.authenticator);
    this.queue.push({ row, onStored });
    this.metrics.isWaiting(this.queue.length);
    this.write();
    return true;
  }

  private write(): void {
    if (this.state !== 'running' || this.writing) return;
    this.writing = this.writeAll().finally(() => {
      this.writing = undefined;
      // What came after the last look.
      if (this.queue.length > 0 && !this.cut.signal.aborted) this.write();
    });
  }

  /** Ends when the queue is empty or the time to stop is over. Never rejects. */
  private async writeAll(): Promise<void> {
    while (this.queue.length > 0 && !this.cut.signal.aborted) {
      const batch = this.queue.slice(0, BATCH);
      try {
        await abortable(this.rows.insert(batch.map(({ row }) => row)), this.cut.signal);
      } catch (error) {
        if (this.backoff.consecutiveFailures === 0 || this.cut.signal.aborted) {
          this.log.error({ message: 'audit rows could not be stored', waiting: this.queue.length, error });
        }
        await this.clock.sleep(this.backoff.next(), this.cut.signal).catch(() => undefined);
        continue;
      }
      this.stored(batch);
    }
  }

  private stored(batch: readonly Waiting[]): void {
    if (this.backoff.consecutiveFailures > 0) this.log.log({ message: 'audit rows can be stored again' });
    this.backoff.reset();
    this.queue.splice(0, batch.length);
    this.metrics.stored(batch.length);
    this.metrics.isWaiting(this.queue.length);
    for (const { onStored } of batch) onStored?.();
    this.tellLoss();
  }

  private lose(rows: number, why: string): void {
    if (rows === 0) return;
    if (this.lost === 0 || this.state === 'stopped') {
      this.log.error({ message: 'audit rows are lost', rows, why });
    }
    this.lost += rows;
    this.metrics.lost(rows);
  }

  private tellLoss(): void {
    if (this.lost === 0 || this.queue.length >= MAX_WAITING) return;
    const { lost } = this;
    this.lost = 0;
    this.log.error({ message: 'audit rows were lost', rows: lost });
    this.record({
      tenantId: '*',
      actor: { kind: 'subsystem', id: 'audit-log' },
      action: 'audit.lose',
      target: null,
      outcome: 'failure',
      reason: 'overflow',
      detail: { rows: lost },
    });
  }
}

function unavailable(why: string): AppError {
  return new AppError(
    'service.unavailable',
    `the audit log cannot be written, ${why}; see what was done, and repeat it`,
    {
      headers: { 'Retry-After': '5' },
    },
  );
}
