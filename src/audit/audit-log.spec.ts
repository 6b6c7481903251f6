import '../../test/support/quiet-logger.js';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { CryptoRandom } from '../runtime/random.js';
import { Authenticators, parseSealingKey } from '../sealing/index.js';
import type { AuditEntry } from './audit-entry.js';
import { AuditLog } from './audit-log.js';
import { AuditLogMetrics } from './audit-log.metrics.js';
import type { AuditRow } from './audit-row.js';

const NEVER = new AbortController().signal;

function entry(action: string): AuditEntry {
  return { tenantId: 'acme', actor: { kind: 'user', id: 'ada' }, action, target: null, outcome: 'success' };
}

/** Rows in memory; does not answer while `isAway`, fails while `isFailing`. */
class FakeRows {
  readonly stored: AuditRow[] = [];
  readonly batches: number[] = [];
  isAway = false;
  isFailing = false;
  private readonly returned: Array<() => void> = [];

  insert = async (rows: readonly AuditRow[]): Promise<void> => {
    if (this.isAway) await new Promise<void>((resolve) => this.returned.push(resolve));
    if (this.isFailing) throw new Error('no primary');
    this.stored.push(...rows);
    this.batches.push(rows.length);
  };

  comeBack(): void {
    this.isAway = false;
    for (const resolve of this.returned.splice(0)) resolve();
  }

  get actions(): string[] {
    return this.stored.map(({ action }) => action);
  }
}

async function open() {
  const clock = new FakeClock();
  const rows = new FakeRows();
  const registry = new Registry();
  const authenticators = new Authenticators([parseSealingKey(randomBytes(32).toString('base64'))]);
  const log = new AuditLog(rows, authenticators, new AuditLogMetrics(registry), clock, new CryptoRandom());
  await log.start();
  const figure = async (name: string): Promise<number | undefined> =>
    (await registry.getSingleMetric(name)?.get())?.values[0]?.value;
  return { clock, rows, log, figure };
}

describe('the audit log', () => {
  it('has stored what was appended, in the order it came', async () => {
    const { log, rows } = await open();
    await Promise.all(['a', 'b', 'c'].map((action) => log.append(entry(action))));
    expect(rows.actions).toEqual(['a', 'b', 'c']);
  });

  it('writes what comes while it writes at once', async () => {
    const { log, rows } = await open();
    rows.isAway = true;
    log.record(entry('first'));
    for (let index = 0; index < 700; index += 1) log.record(entry('more'));
    rows.comeBack();
    await settle();
    expect(rows.stored).toHaveLength(701);
    expect(rows.batches.length).toBeLessThanOrEqual(3);
  });

  it('stores once the database is back what waited, and nothing twice', async () => {
    const { log, rows, clock } = await open();
    rows.isFailing = true;
    log.record(entry('a'));
    log.record(entry('b'));
    await clock.advance(60_000);
    expect(rows.stored).toEqual([]);
    rows.isFailing = false;
    await clock.advance(5_000);
    expect(rows.actions).toEqual(['a', 'b']);
  });

  it('refuses, after 5 s, whoever has to know that it is stored', async () => {
    const { log, rows, clock } = await open();
    rows.isAway = true;
    const appended = log.append(entry('key.create')).catch((error: unknown) => error);
    await clock.advance(5_000);
    expect(await appended).toMatchObject({ code: 'service.unavailable' });
    rows.comeBack();
    await settle();
    expect(rows.actions).toEqual(['key.create']);
  });

  it('holds 10 000 rows, counts what is more, and tells it in the log itself', async () => {
    const { log, rows, figure } = await open();
    rows.isAway = true;
    for (let index = 0; index < 10_003; index += 1) log.record(entry('flood'));
    await expect(log.append(entry('late'))).rejects.toMatchObject({ code: 'service.unavailable' });
    expect(await figure('crowsnest_audit_lost_rows_total')).toBe(4);
    rows.comeBack();
    await settle(50);
    expect(rows.stored).toHaveLength(10_001);
    expect(rows.stored.find(({ action }) => action === 'audit.lose')).toMatchObject({ detail: { rows: 4 } });
  });

  it('stores what waits before it stops, until the deadline', async () => {
    const { log, rows, figure } = await open();
    log.record(entry('a'));
    await log.stop(NEVER);
    expect(rows.actions).toEqual(['a']);
    log.record(entry('too late'));
    expect(await figure('crowsnest_audit_lost_rows_total')).toBe(1);
  });

  it('does not wait longer than the deadline for a database that is gone', async () => {
    const { log, rows, figure } = await open();
    rows.isAway = true;
    log.record(entry('a'));
    await log.stop(AbortSignal.abort(new Error('time is over')));
    expect(rows.stored).toEqual([]);
    expect(await figure('crowsnest_audit_lost_rows_total')).toBe(1);
  });
});
