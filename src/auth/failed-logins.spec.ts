import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../test/support/fake-clock.js';
import { FailedLogins } from './failed-logins.js';

const PEER = '192.0.2.1';

describe('FailedLogins', () => {
  it('blocks an address that guesses, for 15 minutes', async () => {
    const clock = new FakeClock();
    const logins = new FailedLogins(3, clock);
    for (const guess of ['one', 'two']) logins.record(PEER, guess);
    expect(logins.blockedForMs(PEER)).toBe(0);
    logins.record(PEER, 'three');
    expect(logins.blockedForMs(PEER)).toBe(15 * 60_000);
    expect(logins.blockedForMs('192.0.2.2')).toBe(0);
    await clock.advance(15 * 60_000);
    expect(logins.blockedForMs(PEER)).toBe(0);
  });

  it('counts the same wrong secret of a program that tries for ever once', () => {
    const logins = new FailedLogins(3, new FakeClock());
    for (let tries = 0; tries < 100; tries += 1) logins.record(PEER, 'set up wrongly');
    expect(logins.blockedForMs(PEER)).toBe(0);
    for (const guess of ['one', 'two']) logins.record(PEER, guess);
    expect(logins.blockedForMs(PEER)).toBeGreaterThan(0);
  });

  it('counts each failure of those whose secret it is not told', () => {
    const logins = new FailedLogins(3, new FakeClock());
    for (let tries = 0; tries < 3; tries += 1) logins.record(PEER);
    expect(logins.blockedForMs(PEER)).toBeGreaterThan(0);
  });
});
