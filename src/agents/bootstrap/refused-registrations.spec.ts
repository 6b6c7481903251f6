import { beforeEach, describe, expect, it } from '@jest/globals';
import { Types } from 'mongoose';
import { FakeAuditLog } from '../../../test/support/fake-audit-log.js';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { RefusedRegistrations } from './refused-registrations.js';
import { TokenRefused } from './token-refused.js';

const MINUTE = 60_000;
const TOKEN = { _id: new Types.ObjectId('a'.repeat(24)), tenantId: 'acme' };

let clock: FakeClock;
let audit: FakeAuditLog;
let refusals: RefusedRegistrations;
beforeEach(async () => {
  clock = new FakeClock();
  audit = new FakeAuditLog();
  refusals = new RefusedRegistrations(audit, clock);
  await refusals.start();
});

describe('refused bootstrap tokens', () => {
  it('are one row a minute for each token and reason, with their count', async () => {
    for (let guess = 0; guess < 1_000; guess += 1) refusals.note(new TokenRefused('unknown'));
    refusals.note(new TokenRefused('expired', TOKEN));
    expect(audit.entries).toEqual([]);
    await clock.advance(MINUTE);
    const common = {
      action: 'bootstrap-token.refuse',
      actor: { kind: 'subsystem', id: 'agent-registration' },
      outcome: 'failure',
    };
    expect(audit.entries).toEqual([
      { ...common, tenantId: '*', target: null, reason: 'unknown', detail: { count: 1_000 } },
      {
        ...common,
        tenantId: 'acme',
        target: { type: 'bootstrap-token', id: TOKEN._id.toHexString() },
        reason: 'expired',
        detail: { count: 1 },
      },
    ]);
    await clock.advance(10 * MINUTE);
    expect(audit.entries).toHaveLength(2);
    refusals.note(new TokenRefused('unknown'));
    await clock.advance(MINUTE);
    expect(audit.entries[2]).toMatchObject({ reason: 'unknown', detail: { count: 1 } });
    await refusals.stop();
  });

  it('are no more than 101 rows a minute, without one uncounted', async () => {
    for (let token = 0; token < 250; token += 1) {
      refusals.note(new TokenRefused('revoked', { _id: new Types.ObjectId(), tenantId: 'acme' }));
    }
    await clock.advance(MINUTE);
    expect(audit.entries).toHaveLength(101);
    expect(audit.entries.at(-1)).toMatchObject({ tenantId: '*', target: null, detail: { count: 150 } });
    await refusals.stop();
  });

  it('are told at the stop, and of requests that are still served after it', async () => {
    refusals.note(new TokenRefused('spent', TOKEN));
    await refusals.stop();
    expect(audit.entries).toHaveLength(1);
    refusals.note(new TokenRefused('spent', TOKEN));
    expect(audit.entries).toHaveLength(2);
    expect(clock.pendingTimers).toBe(0);
  });
});
