import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/index.js';

@Injectable()
export class AuditLogMetrics {
  private readonly rows: Counter;
  private readonly lostRows: Counter;
  private readonly waiting: Gauge;
  private readonly sealedRows: Counter;
  private readonly newestSegment: Gauge;
  private readonly prunedRows: Counter;

  constructor(@Inject(METRICS_REGISTRY) registry: Registry) {
    const registers = [registry];
    this.rows = new Counter({
      name: 'crowsnest_audit_rows_total',
      help: 'Audit rows stored by this process.',
      registers,
    });
    this.lostRows = new Counter({
      name: 'crowsnest_audit_lost_rows_total',
      help: 'Audit rows that this process could not store: to be alerted on.',
      registers,
    });
    this.waiting = new Gauge({
      name: 'crowsnest_audit_waiting_rows',
      help: 'Audit rows that this process has still to store.',
      registers,
    });
    this.sealedRows = new Counter({
      name: 'crowsnest_audit_sealed_rows_total',
      help: 'Audit rows that this process sealed into segments.',
      registers,
    });
    this.newestSegment = new Gauge({
      name: 'crowsnest_audit_newest_segment',
      help: 'Number of the newest segment of the audit log, by the last look of this process. Never falls.',
      registers,
    });
    this.prunedRows = new Counter({
      name: 'crowsnest_audit_pruned_rows_total',
      help: 'Audit rows that retention removed at this process.',
      registers,
    });
  }

  stored(rows: number): void {
    this.rows.inc(rows);
  }

  lost(rows: number): void {
    this.lostRows.inc(rows);
  }

  isWaiting(rows: number): void {
    this.waiting.set(rows);
  }

  sealed(rows: number): void {
    this.sealedRows.inc(rows);
  }

  newest(segment: number): void {
    this.newestSegment.set(segment);
  }

  pruned(rows: number): void {
    this.prunedRows.inc(rows);
  }
}
