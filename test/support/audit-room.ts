import { randomBytes } from 'node:crypto';
import { Registry } from 'prom-client';
import { AuditChain } from '../../src/audit/audit-chain.js';
import { AuditCollections } from '../../src/audit/audit-collections.js';
import type { AuditEntry } from '../../src/audit/audit-entry.js';
import { AuditLog } from '../../src/audit/audit-log.js';
import { AuditLogMetrics } from '../../src/audit/audit-log.metrics.js';
import { AuditRetention } from '../../src/audit/audit-retention.js';
import { AuditRowsRepository } from '../../src/audit/audit-rows.repository.js';
import { AuditSealing } from '../../src/audit/audit-sealing.js';
import { AuditSegmentsRepository } from '../../src/audit/audit-segments.repository.js';
import { AuditVerification } from '../../src/audit/audit-verification.js';
import { type AuditConfig, auditConfig } from '../../src/audit/audit.config.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { Authenticators, type SealingKey, parseSealingKey } from '../../src/sealing/index.js';
import { configDefaults } from './config-defaults.js';
import { FakeClock } from './fake-clock.js';
import { FakeServerTime } from './fake-server-time.js';
import { openTestDatabase } from './test-database.js';

export const NEVER = new AbortController().signal;
/** Leads for ever, and is never stopped. */
export const HELD = { signal: NEVER, lease: { assertHeld: (): void => undefined } };
export const DAY_MS = 86_400_000;

export function newSealingKey(): SealingKey {
  return parseSealingKey(randomBytes(32).toString('base64'));
}

export function auditEntry(action: string, entry: Partial<AuditEntry> = {}): AuditEntry {
  return { tenantId: 'acme', actor: { kind: 'user', id: 'ada' }, action, target: null, outcome: 'success', ...entry };
}

/** Its pauses take no time: `advance` alone moves it. */
class UnhurriedClock extends FakeClock {
  pauses = 0;

  override sleep(_delayMs: number, signal?: AbortSignal): Promise<void> {
    this.pauses += 1;
    return signal?.aborted ? Promise.reject(signal.reason as Error) : Promise.resolve();
  }
}

/** The room on a real store, by a clock that stands still. */
export async function openAuditRoom() {
  const database = await openTestDatabase();
  const clock = new UnhurriedClock();
  const time = new FakeServerTime(clock);
  const metrics = new AuditLogMetrics(new Registry());
  const collections = new AuditCollections(database.connection);
  const rows = new AuditRowsRepository(collections);
  const segments = new AuditSegmentsRepository(collections);

  /** What of the room has keys. */
  const withKeys = (...keys: SealingKey[]) => {
    const authenticators = new Authenticators(keys);
    const chain = new AuditChain(authenticators);
    const log = new AuditLog(rows, authenticators, metrics, clock, new CryptoRandom());
    return {
      chain,
      log,
      sealing: new AuditSealing(segments, chain, metrics, time),
      verification: new AuditVerification(segments, chain, authenticators),
      retention: (settings: Partial<AuditConfig> = {}, stored = segments) =>
        new AuditRetention(
          stored,
          chain,
          log,
          metrics,
          configDefaults(auditConfig, settings),
          time,
          clock,
          new CryptoRandom(),
        ),
    };
  };
  const keyed = withKeys(newSealingKey());
  await keyed.log.start();
  const db = collections.database;

  return {
    ...keyed,
    clock,
    rows,
    segments,
    collections,
    withKeys,
    db,
    verify: () => keyed.verification.verify({}, NEVER),
    /** Each inner list becomes a segment of rows with these actions. */
    fill: async (segmentsOfActions: ReadonlyArray<readonly string[]>): Promise<void> => {
      for (const actions of segmentsOfActions) {
        await Promise.all(actions.map((action) => keyed.log.append(auditEntry(action))));
        await keyed.sealing.seal(HELD);
      }
    },
    clear: async (): Promise<void> => {
      for (const name of ['audit_logs', 'audit_segments', 'audit_heads', 'audit_anchors']) {
        await db.collection(name).deleteMany({});
      }
    },
    close: async (): Promise<void> => {
      await keyed.log.stop(NEVER);
      await database.close();
    },
  };
}

export type AuditRoom = Awaited<ReturnType<typeof openAuditRoom>>;
