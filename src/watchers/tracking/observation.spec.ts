import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Types } from 'mongoose';
import type { Health, ResourceStatus } from '../resource.js';
import { type Observation, judge } from './observation.js';
import { toResource } from './resource-view.js';
import type { ResourceDocument } from './resource.schema.js';

const T0 = Date.UTC(2026, 0, 1);
const at = (ms: number): Date => new Date(T0 + ms);

function documentOf(change: Partial<ResourceDocument> = {}): ResourceDocument {
  return {
    _id: new Types.ObjectId(),
    tenantId: 'default',
    workflowId: new Types.ObjectId(),
    nodeId: 'web',
    clusterId: new Types.ObjectId(),
    apiVersion: 'v1',
    kind: 'ConfigMap',
    namespace: 'shop',
    name: 'settings',
    uid: 'a',
    ...statusOf('pending'),
    since: at(0),
    previous: null,
    freshness: 'live',
    freshnessSince: at(0),
    watched: true,
    applied: { uid: 'a', resourceVersion: '100', generation: null },
    observed: null,
    expectedDeletion: null,
    version: 1,
    createdAt: at(0),
    updatedAt: at(0),
    createdBy: 'crowsnest',
    ...change,
  };
}

function statusOf(health: Health, reason: string | null = null): ResourceStatus {
  return { health, rollout: null, reason, message: null, details: {}, children: [] };
}

const present = (resourceVersion: string, health: Health = 'healthy', uid = 'a'): Observation => ({
  uid,
  status: statusOf(health),
  resourceVersion,
  listedSince: null,
});
const absent = (resourceVersion: string, listedSince: number | null = null): Observation => ({
  uid: null,
  status: null,
  resourceVersion,
  listedSince,
});

function after(document: ResourceDocument, ...observations: Observation[]): ResourceDocument {
  let current = document;
  for (const observation of observations) {
    const verdict = judge(current, observation, at(current.version * 1_000));
    if (verdict.type === 'changed') current = { ...current, ...verdict.change, version: current.version + 1 };
  }
  return current;
}

describe('judge', () => {
  it('ignores what was seen before we applied anything', () => {
    expect(judge(documentOf({ applied: null, uid: null }), present('200'), at(1)).type).toBe('irrelevant');
  });

  it.each([
    ['an object', present('99')],
    ['an absence', absent('99')],
    ['an object, compared as a number and not as text', present('11', 'degraded')],
  ])('ignores %s from before the last apply', (_what, observation) => {
    expect(judge(documentOf(), observation, at(1)).type).toBe('irrelevant');
  });

  it('believes an older version that a list from after the last write tells: the cluster went back', () => {
    const document = documentOf({ updatedAt: at(5_000) });
    expect(judge(document, absent('50', T0 + 4_000), at(9_000)).type).toBe('irrelevant');
    expect(after(document, absent('50', T0 + 6_000)).health).toBe('missing');
  });

  it('keeps since and previous over changes that are none of health', () => {
    const healthy = after(documentOf(), present('101'));
    const changed = judge(healthy, { ...present('102'), status: statusOf('healthy', 'Other'), uid: 'a' }, at(9_000));
    expect(changed).toMatchObject({ type: 'changed', history: { reason: 'Other' } });
    expect(changed.type === 'changed' && changed.change.since).toBeUndefined();
    expect(healthy).toMatchObject({ health: 'healthy', previous: 'pending', since: at(1_000) });
  });

  it('takes a second look at the same state as no change', () => {
    const healthy = after(documentOf(), present('101'));
    expect(judge(healthy, present('105'), at(9_000)).type).toBe('unchanged');
  });

  it('does not take an object that usurps the name of one that we deleted for ours', () => {
    const deleted = after(documentOf({ expectedDeletion: 'a', health: 'healthy' }), present('120', 'healthy', 'b'));
    expect(deleted).toMatchObject({ health: 'deleted', uid: null });
    expect(after(deleted, present('130', 'degraded', 'b'))).toBe(deleted);
  });

  it('tells an object of somebody else as recreated once', () => {
    const healthy = after(documentOf(), present('101'));
    const verdict = judge(healthy, present('110', 'healthy', 'b'), at(9_000));
    expect(verdict).toMatchObject({ type: 'changed', history: { reason: 'Recreated' } });
    const recreated = after(healthy, present('110', 'healthy', 'b'));
    expect(judge(recreated, present('111', 'healthy', 'b'), at(9_000)).type).toBe('unchanged');
  });

  it.each([
    ['Job', null, 'completed'],
    ['Job', 'a', 'deleted'],
    ['Pod', null, 'missing'],
  ] as const)('tells a completed %s that is gone (deletion expected of %s) as %s', (kind, expectedDeletion, health) => {
    const completed = documentOf({ kind, expectedDeletion, health: 'completed' });
    const gone = after(completed, absent('101'));
    expect(gone).toMatchObject({ health, uid: null });
    expect(judge(gone, absent('102'), at(9_000)).type).toBe('unchanged');
    // A TTL removes a Job in the foreground: it is terminating in between.
    expect(after(completed, present('101', 'terminating'), absent('102'))).toMatchObject({ health, uid: null });
  });

  const history = fc
    .array(fc.tuple(fc.integer({ min: 90, max: 99_999 }), fc.constantFrom<Health>('healthy', 'degraded', 'missing')), {
      minLength: 1,
    })
    .map((entries) => new Map(entries))
    .map((byVersion) =>
      [...byVersion].map(([version, health]) =>
        health === 'missing' ? absent(String(version)) : present(String(version), health),
      ),
    );
  const versionOf = ({ resourceVersion }: { resourceVersion: string }): number => Number(resourceVersion);

  it('never replaces what is stored by something older, in whatever order observations come', () => {
    fc.assert(
      fc.property(history, (observations) => {
        let document = documentOf();
        for (const observation of observations) {
          const next = after(document, observation);
          const before = Math.max(100, ...(document.observed ? [versionOf(document.observed)] : []));
          if (next !== document) expect(versionOf(observation)).toBeGreaterThanOrEqual(before);
          document = next;
        }
      }),
    );
  });

  it('ends with the newest observation when they come in order, as one watch tells them', () => {
    fc.assert(
      fc.property(history, (observations) => {
        const inOrder = observations.toSorted((a, b) => versionOf(a) - versionOf(b));
        const newest = inOrder.findLast((each) => versionOf(each) >= 100);
        const expected = newest ? (newest.status?.health ?? 'missing') : 'pending';
        expect(after(documentOf(), ...inOrder).health).toBe(expected);
      }),
    );
  });
});

describe('toResource', () => {
  it.each([
    ['healthy', 'live', 'healthy', null],
    ['healthy', 'stale', 'unknown', 'Stale'],
    ['completed', 'syncing', 'unknown', 'Stale'],
    ['degraded', 'stale', 'degraded', null],
    ['deleted', 'stale', 'deleted', null],
  ] as const)('shows %s, %s as %s', (health, freshness, shown, reason) => {
    const resource = toResource(documentOf({ health, freshness, freshnessSince: at(7_000) }));
    expect(resource).toMatchObject({ health: shown, reason });
    if (shown === 'unknown') expect(resource).toMatchObject({ since: at(7_000).toISOString(), previous: health });
  });
});
