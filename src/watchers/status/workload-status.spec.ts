import { describe, expect, it } from '@jest/globals';
import {
  NOW,
  ago,
  condition,
  containerStatus,
  crashingPod,
  objectJson,
  ownedBy,
  podJson,
  statusOf,
  terminated,
  type Surroundings,
} from '../../../test/support/status-objects.js';

type Json = Record<string, unknown>;

const rolledOut = condition('Progressing', 'True', 'NewReplicaSetAvailable', 'ReplicaSet "web-1" has progressed.');
const rolling = condition('Progressing', 'True', 'ReplicaSetUpdated', 'ReplicaSet "web-2" is progressing.');

/** A Deployment of 4 with the default strategy: one may be unavailable. */
function deployment(status: Json, spec: Json = {}): Json {
  return objectJson(
    'web',
    {},
    {
      spec: {
        replicas: 4,
        progressDeadlineSeconds: 600,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
        ...spec,
      },
      status: {
        observedGeneration: 2,
        replicas: 4,
        updatedReplicas: 4,
        readyReplicas: 4,
        availableReplicas: 4,
        conditions: [rolledOut],
        ...status,
      },
    },
  );
}

function statefulSet(status: Json, spec: Json = {}): Json {
  const revisions = { currentRevision: 'db-a', updateRevision: 'db-a' };
  const counts = { replicas: 3, readyReplicas: 3, availableReplicas: 3, currentReplicas: 3, updatedReplicas: 3 };
  return objectJson(
    'db',
    {},
    {
      spec: { replicas: 3, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } }, ...spec },
      status: { observedGeneration: 2, ...counts, ...revisions, ...status },
    },
  );
}

function daemonSet(status: Json, spec: Json = {}): Json {
  const scheduled = { desiredNumberScheduled: 3, currentNumberScheduled: 3, updatedNumberScheduled: 3 };
  const counts = { ...scheduled, numberReady: 3, numberAvailable: 3, numberMisscheduled: 0 };
  return objectJson('logs', {}, { spec, status: { observedGeneration: 2, ...counts, ...status } });
}

function replicaSet(status: Json, spec: Json = {}): Json {
  const counts = { replicas: 2, readyReplicas: 2, availableReplicas: 2 };
  return objectJson(
    'web-1',
    {},
    { spec: { replicas: 2, ...spec }, status: { observedGeneration: 2, ...counts, ...status } },
  );
}

const available = (count: number): Json => ({ readyReplicas: count, availableReplicas: count });
const webPods = (...pods: Json[]): Surroundings => ({ children: { Pod: pods } });

const deployments: readonly [string, Json, Json, Surroundings?][] = [
  ['rolled out', deployment({}), { health: 'healthy', rollout: 'complete', reason: null, recheckAfterMs: null }],
  [
    'a generation its controller has not seen',
    deployment({ observedGeneration: 1 }),
    { health: 'progressing', rollout: 'progressing', reason: 'GenerationNotObserved', recheckAfterMs: 600_000 },
  ],
  [
    'just created',
    objectJson('web', {}, { spec: {}, status: {} }),
    { health: 'progressing', reason: 'GenerationNotObserved' },
  ],
  [
    'a first rollout',
    deployment({
      ...available(1),
      conditions: [rolling, condition('Available', 'False', 'MinimumReplicasUnavailable')],
    }),
    { health: 'progressing', rollout: 'progressing', message: '1 of 4 replicas are available', recheckAfterMs: null },
  ],
  [
    'an update that keeps enough available',
    deployment({ replicas: 5, updatedReplicas: 2, ...available(3), conditions: [rolling] }),
    { health: 'healthy', rollout: 'progressing', reason: 'RollingOut' },
  ],
  [
    'a scale-up by an autoscaler',
    deployment({ replicas: 10, updatedReplicas: 10, ...available(8) }, { replicas: 10 }),
    { health: 'healthy', rollout: 'progressing' },
  ],
  [
    'rolled out, then more lost than its budget',
    deployment({ ...available(2) }),
    {
      health: 'degraded',
      rollout: 'progressing',
      reason: 'ReplicasUnavailable',
      message: '2 of 4 replicas are available',
    },
  ],
  [
    'a budget of all replicas is no health without any',
    deployment({ ...available(0) }, { strategy: { rollingUpdate: { maxUnavailable: '100%' } } }),
    { health: 'progressing' },
  ],
  [
    'past its deadline though the old pods serve',
    deployment({
      updatedReplicas: 1,
      conditions: [condition('Progressing', 'False', 'ProgressDeadlineExceeded', 'ReplicaSet "web-2" has timed out.')],
    }),
    { health: 'degraded', rollout: 'failed', reason: 'ProgressDeadlineExceeded' },
  ],
  [
    'pods that its quota refuses',
    deployment({ conditions: [rolling, condition('ReplicaFailure', 'True', 'FailedCreate', 'exceeded quota: small')] }),
    { health: 'degraded', reason: 'FailedCreate', message: 'exceeded quota: small' },
  ],
  ['paused', deployment({ updatedReplicas: 0 }, { paused: true }), { health: 'healthy', rollout: 'paused' }],
  [
    'paused before its first rollout',
    deployment({ replicas: 0, updatedReplicas: 0, ...available(0), conditions: [] }, { paused: true }),
    { health: 'suspended', rollout: 'paused', reason: 'Paused' },
  ],
  [
    'scaled to 0',
    deployment({ replicas: 0, updatedReplicas: 0, ...available(0) }, { replicas: 0 }),
    { health: 'healthy', rollout: 'complete', reason: 'ScaledToZero' },
  ],
  [
    'Recreate in the middle of an update',
    deployment({ updatedReplicas: 1, ...available(0), conditions: [rolling] }, { strategy: { type: 'Recreate' } }),
    { health: 'progressing' },
  ],
  [
    'a new pod that crashes while the old ones serve',
    deployment({ replicas: 5, updatedReplicas: 1, conditions: [rolling] }),
    {
      health: 'degraded',
      rollout: 'progressing',
      reason: 'CrashLoopBackOff',
      message: 'container app of pod web-2-x ended with exit code 1 (Error), 5 restarts',
    },
    webPods(podJson('web-1-a'), crashingPod('web-2-x')),
  ],
  [
    'several pods that crash',
    deployment({}),
    { message: expect.stringMatching(/pod a .*\(and 1 more\)$/) },
    webPods(crashingPod('b'), crashingPod('a')),
  ],
  [
    'an evicted pod that was replaced long ago',
    deployment({}, { replicas: 1 }),
    { health: 'healthy', details: expect.objectContaining({ childCount: 2 }) },
    webPods(podJson('new'), podJson('old', { status: { phase: 'Failed', reason: 'Evicted' } })),
  ],
  [
    'an evicted pod that nothing stands in for',
    deployment({}, { replicas: 2 }),
    { health: 'degraded', reason: 'Evicted' },
    webPods(podJson('new'), podJson('old', { status: { phase: 'Failed', reason: 'Evicted' } })),
  ],
  [
    'a crashing pod that is being deleted',
    deployment({}),
    { health: 'healthy' },
    webPods(crashingPod('gone', { deletionTimestamp: ago(1) })),
  ],
  [
    'a slow pod is a matter of the rollout, which has its own deadline',
    deployment({ ...available(3), conditions: [rolling] }, { progressDeadlineSeconds: 3_600 }),
    { health: 'healthy', rollout: 'progressing' },
    webPods(podJson('slow', { ready: false })),
  ],
];

describe('deploymentStatus', () => {
  it.each(deployments)('%s', (_, json, expected, surroundings = {}) => {
    expect(statusOf('Deployment', json, surroundings)).toMatchObject(expected);
  });

  it('takes a scale-up from 0 for a start, and the end of what it had for a loss', () => {
    const zero = deployment({ replicas: 0, updatedReplicas: 0, ...available(0) }, { replicas: 0 });
    const previous = statusOf('Deployment', zero);
    const none = deployment(available(0));
    expect(statusOf('Deployment', none, { previous })).toMatchObject({ health: 'progressing' });
    const up = statusOf('Deployment', deployment({}), { previous });
    expect(statusOf('Deployment', none, { previous: up })).toMatchObject({ health: 'degraded' });
  });

  it('gives a scale-up that never ends the deadline which the API has for rollouts only', () => {
    const previous = statusOf('Deployment', deployment({}, { replicas: 4 }));
    const stuck = deployment({ replicas: 20, updatedReplicas: 20 }, { replicas: 20 });
    const begun = statusOf('Deployment', stuck, { previous });
    expect(begun).toMatchObject({ health: 'progressing', recheckAfterMs: 600_000 });
    const before = statusOf('Deployment', stuck, { previous: begun, now: NOW + 599_999 });
    expect(before).toMatchObject({ health: 'progressing', recheckAfterMs: 1 });
    expect(statusOf('Deployment', stuck, { previous: before, now: NOW + 600_000 })).toMatchObject({
      health: 'degraded',
      rollout: 'failed',
      reason: 'ProgressDeadlineExceeded',
      message: 'no progress since 2026-07-01T12:00:00.000Z: 4 of 20 replicas are available',
    });
    const progress = deployment({ replicas: 20, updatedReplicas: 20, ...available(5) }, { replicas: 20 });
    const later = statusOf('Deployment', progress, { previous: before, now: NOW + 600_000 });
    expect(later).toMatchObject({ health: 'progressing', recheckAfterMs: 600_000 });
  });

  it('shows the children unhealthy first, at most 20, without ReplicaSets that have nothing to do', () => {
    const pods = Array.from({ length: 25 }, (_, i) => podJson(`p-${String(i).padStart(2, '0')}`));
    const old = objectJson('web-0', ownedBy('Deployment', 'web'), { spec: { replicas: 0 }, status: { replicas: 0 } });
    const status = statusOf('Deployment', deployment({}), {
      children: { ReplicaSet: [replicaSet({}), old], Pod: [...pods, crashingPod('z-bad')] },
    });
    expect(status.children).toHaveLength(20);
    expect(status.children[0]).toMatchObject({ kind: 'Pod', name: 'z-bad', uid: 'uid-z-bad', health: 'degraded' });
    expect(status.children.map((child) => child.name)).not.toContain('web-0');
    expect(status.details.childCount).toBe(27);
  });

  it('names what holds a deletion after five minutes, and looks again by itself', () => {
    const deleting = (seconds: number): Json => {
      const json = deployment({});
      const metadata = {
        ...(json.metadata as Json),
        deletionTimestamp: ago(seconds),
        finalizers: ['example.com/backup'],
      };
      return { ...json, metadata };
    };
    expect(statusOf('Deployment', deleting(100))).toMatchObject({ health: 'terminating', recheckAfterMs: 200_000 });
    expect(statusOf('Deployment', deleting(300))).toMatchObject({
      health: 'terminating',
      reason: 'StuckTerminating',
      message: expect.stringContaining('example.com/backup'),
      recheckAfterMs: null,
    });
  });
});

const others: readonly [string, string, Json, Json, Surroundings?][] = [
  ['StatefulSet', 'ready', statefulSet({}), { health: 'healthy', rollout: 'complete', reason: null }],
  ['StatefulSet', 'unobserved', statefulSet({ observedGeneration: 1 }), { health: 'progressing' }],
  [
    'StatefulSet',
    'starting',
    statefulSet({ replicas: 1, ...available(0) }),
    { health: 'progressing', recheckAfterMs: 600_000 },
  ],
  [
    'StatefulSet',
    'updating with one down',
    statefulSet({ ...available(2), updatedReplicas: 1, updateRevision: 'db-b' }),
    { health: 'healthy', rollout: 'progressing', reason: 'RollingOut', recheckAfterMs: 600_000 },
  ],
  [
    'StatefulSet',
    'one down without an update',
    statefulSet(available(2)),
    { health: 'progressing', rollout: 'progressing' },
  ],
  [
    'StatefulSet',
    'held back by its partition',
    statefulSet(
      { updatedReplicas: 1, updateRevision: 'db-b' },
      { updateStrategy: { rollingUpdate: { partition: 2 } } },
    ),
    { health: 'healthy', rollout: 'complete', reason: 'PartitionedUpdate' },
  ],
  [
    'StatefulSet',
    'OnDelete',
    statefulSet({ updatedReplicas: 0, updateRevision: 'db-b' }, { updateStrategy: { type: 'OnDelete' } }),
    { health: 'healthy', rollout: 'complete', reason: 'UpdateOnDelete' },
  ],
  [
    'StatefulSet',
    'a crashing pod',
    statefulSet(available(2)),
    { health: 'degraded', reason: 'CrashLoopBackOff', message: expect.stringContaining('pod db-1') },
    webPods(podJson('db-0'), crashingPod('db-1')),
  ],
  [
    'StatefulSet',
    'a pod that no node takes',
    statefulSet(available(2)),
    { health: 'degraded', reason: 'Unschedulable' },
    webPods(
      podJson('db-2', {
        status: { phase: 'Pending', conditions: [condition('PodScheduled', 'False', 'Unschedulable', 'full', 30)] },
      }),
    ),
  ],
  ['DaemonSet', 'on all nodes', daemonSet({}), { health: 'healthy', rollout: 'complete' }],
  [
    'DaemonSet',
    'on no node',
    daemonSet({ desiredNumberScheduled: 0 }),
    { health: 'healthy', reason: 'NoMatchingNodes' },
  ],
  [
    'DaemonSet',
    'not seen by its controller',
    daemonSet({ observedGeneration: 0, desiredNumberScheduled: 0 }),
    { health: 'progressing' },
  ],
  [
    'DaemonSet',
    'updating',
    daemonSet({ updatedNumberScheduled: 1, numberAvailable: 2 }),
    { health: 'healthy', rollout: 'progressing' },
  ],
  [
    'DaemonSet',
    'OnDelete',
    daemonSet({ updatedNumberScheduled: 1 }, { updateStrategy: { type: 'OnDelete' } }),
    { health: 'healthy', rollout: 'complete', reason: 'UpdateOnDelete' },
  ],
  [
    'DaemonSet',
    'misscheduled',
    daemonSet({ numberMisscheduled: 2 }),
    { health: 'healthy', reason: 'PodsMisscheduled' },
  ],
  [
    'DaemonSet',
    'out of memory',
    daemonSet({ numberAvailable: 2 }),
    { health: 'degraded', reason: 'OOMKilled' },
    webPods(
      podJson('logs-a', {
        ready: false,
        containers: [containerStatus('app', { ready: false, state: terminated(137, 'OOMKilled') })],
      }),
    ),
  ],
  ['ReplicaSet', 'complete', replicaSet({}), { health: 'healthy', rollout: 'complete' }],
  [
    'ReplicaSet',
    'scaled to 0',
    replicaSet({ replicas: 0, ...available(0) }, { replicas: 0 }),
    { health: 'healthy', reason: 'ScaledToZero' },
  ],
  ['ReplicaSet', 'starting', replicaSet(available(1)), { health: 'progressing', rollout: 'progressing' }],
  [
    'ReplicaSet',
    'refused pods',
    replicaSet({ ...available(0), conditions: [condition('ReplicaFailure', 'True', 'FailedCreate', 'forbidden')] }),
    { health: 'degraded', reason: 'FailedCreate' },
  ],
];

describe('statefulSetStatus, daemonSetStatus, replicaSetStatus', () => {
  it.each(others)('%s: %s', (kind, _, json, expected, surroundings = {}) => {
    expect(statusOf(kind, json, surroundings)).toMatchObject(expected);
  });

  it('degrades a StatefulSet that never starts after its deadline, and one that loses its last replica at once', () => {
    const starting = statefulSet({ replicas: 1, ...available(0) });
    const previous = statusOf('StatefulSet', starting);
    const later = statusOf('StatefulSet', starting, { previous, now: NOW + 600_000 });
    expect(later).toMatchObject({ health: 'degraded', rollout: 'failed', reason: 'ProgressDeadlineExceeded' });
    const ready = statusOf('StatefulSet', statefulSet({}));
    expect(statusOf('StatefulSet', starting, { previous: ready })).toMatchObject({
      reason: 'ReplicasUnavailable',
      health: 'degraded',
    });
  });
});
