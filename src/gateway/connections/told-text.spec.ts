import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { toldText } from './told-text.js';

describe('what a subsystem is told to have said', () => {
  it.each([
    ['dial tcp 10.1.2.3:5432: connect: connection refused', 'dial tcp […]: connect: connection refused'],
    ['no route to [fd00:ec2::254]:80', 'no route to […]'],
    ['lookup of ::1 failed', 'lookup of […] failed'],
    ['db.billing.svc.cluster.local is away', '[…] is away'],
    ['postgres:5432 is away', '[…] is away'],
    ['see http://admin:secret@intern/x?y for more', 'see […] for more'],
    ['panic at /srv/app/main.go:12', 'panic at […]'],
    ['at C:\\app\\main.cs', 'at […]'],
    ['no such run\n  at handler (x.js:1)', 'no such run'],
  ])('hides where it is: %s', (said, told) => {
    expect(toldText(said)).toBe(told);
  });

  it.each([
    'run r-17 of workflow a/b is not failed',
    'started_at 2026-01-02T03:04:05.678Z is after 12:30:15',
    'version 1.2.3 has no step "x": retry it',
    'limit:500 is too much (step:12)',
    'subsystem~run%2F1 has ended',
  ])('leaves the rest: %s', (said) => {
    expect(toldText(said)).toBe(said);
  });

  it('never holds an address, whatever stands around it, nor more than 512 characters', () => {
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6().map((ip) => `[${ip}]`),
      fc.webUrl(),
      fc.ipV4().map((ip) => `${ip}:8443`),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 1_200 }), address, fc.string(), (before, place, after) => {
        const told = toldText(`${before.replaceAll(/[\r\n]/g, ' ')} ${place} ${after}`);
        expect(told.length).toBeLessThanOrEqual(512);
        expect(before.includes(place) || !told.includes(place)).toBe(true);
      }),
    );
  });
});
