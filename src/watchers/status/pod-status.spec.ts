import { describe, expect, it } from '@jest/globals';
import {
  NOW,
  ago,
  condition,
  containerStatus,
  crashing,
  podJson,
  statusOf,
  terminated,
  type PodOptions,
} from '../../../test/support/status-objects.js';

const waiting = (reason: string, message?: string) =>
  containerStatus('app', { ready: false, state: { waiting: { reason, message } } });
const restarted = (seconds: number, livedFor = 2, restartCount = 3) =>
  containerStatus('app', {
    restartCount,
    state: { running: { startedAt: ago(seconds) } },
    lastState: terminated(1, 'Error', seconds, livedFor),
  });
const readyFor = (seconds: number) => ({
  conditions: [condition('PodScheduled', 'True'), condition('Ready', 'True', undefined, undefined, seconds)],
});
const pending = (...conditions: object[]) => ({
  phase: 'Pending',
  startTime: undefined,
  containerStatuses: [],
  conditions,
});

const table: readonly [string, PodOptions, Record<string, unknown>][] = [
  ['running and ready', {}, { health: 'healthy', reason: null, recheckAfterMs: null }],
  [
    'running but not ready',
    { ready: false, status: { conditions: [condition('Ready', 'False', 'ContainersNotReady', undefined, 100)] } },
    { health: 'progressing', reason: 'ContainersNotReady', recheckAfterMs: 500_000 },
  ],
  [
    'not ready for longer than any rollout may take',
    { ready: false },
    { health: 'degraded', reason: 'ContainersNotReady', message: expect.stringContaining('since 2026-07-01T11:11:40') },
  ],
  [
    'readiness gates',
    { status: { conditions: [condition('Ready', 'False', 'ReadinessGatesNotReady', undefined, 5)] } },
    { health: 'progressing', reason: 'ReadinessGatesNotReady' },
  ],
  ['succeeded', { status: { phase: 'Succeeded' } }, { health: 'completed', reason: 'Succeeded' }],
  [
    'evicted',
    { status: { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' } },
    { health: 'degraded', reason: 'Evicted', message: 'pod web-1 failed: The node was low on resource: memory.' },
  ],
  [
    'failed',
    {
      status: { phase: 'Failed' },
      containers: [containerStatus('app', { ready: false, state: terminated(3, 'Error') })],
    },
    { health: 'degraded', reason: 'Error', message: 'pod web-1 failed: container app ended with exit code 3 (Error)' },
  ],
  ['node lost', { status: { phase: 'Unknown' } }, { health: 'unknown', reason: 'NodeLost' }],
  [
    'crash loop',
    { ready: false, containers: [crashing('app', 1, 'Error', 5)] },
    {
      health: 'degraded',
      reason: 'CrashLoopBackOff',
      message: 'container app of pod web-1 ended with exit code 1 (Error), 5 restarts',
      recheckAfterMs: null,
    },
  ],
  [
    'crash loop of an init container',
    { ready: false, status: { phase: 'Pending' }, initContainers: [crashing('migrate', 2, 'Error', 1)] },
    {
      health: 'degraded',
      reason: 'CrashLoopBackOff',
      message: 'init container migrate of pod web-1 ended with exit code 2 (Error), 1 restart',
    },
  ],
  [
    'crash loop of a sidecar',
    {
      ready: false,
      spec: { initContainers: [{ name: 'proxy', restartPolicy: 'Always' }] },
      initContainers: [crashing('proxy', 1, 'Error', 2)],
    },
    { health: 'degraded', message: 'sidecar proxy of pod web-1 ended with exit code 1 (Error), 2 restarts' },
  ],
  [
    'out of memory',
    { ready: false, containers: [crashing('app', 137, 'OOMKilled', 2)] },
    {
      health: 'degraded',
      reason: 'OOMKilled',
      message: 'container app of pod web-1 ran out of memory (exit code 137), 2 restarts',
    },
  ],
  [
    'just ended, not yet restarted',
    { ready: false, containers: [containerStatus('app', { ready: false, state: terminated(1, 'Error') })] },
    { health: 'degraded', reason: 'Error' },
  ],
  [
    'one container of a Job is done',
    {
      spec: { restartPolicy: 'Never' },
      containers: [containerStatus('app', { ready: false, state: terminated(0, 'Completed') }), containerStatus('b')],
    },
    { health: 'progressing', reason: 'Running' },
  ],
  [
    'restarted after a crash, ready for 4 s',
    { containers: [restarted(6)], status: readyFor(4) },
    { health: 'degraded', reason: 'CrashLoopBackOff', recheckAfterMs: 8_000 },
  ],
  [
    'restarted after a crash, ready for 12 s',
    { containers: [restarted(14)], status: readyFor(12) },
    { health: 'healthy', recheckAfterMs: null },
  ],
  [
    'a loop of lives of 30 s has to live longer than that',
    { containers: [restarted(32, 30)], status: readyFor(32) },
    { health: 'degraded', reason: 'CrashLoopBackOff', recheckAfterMs: 8_000 },
  ],
  [
    'a crash after a long life is no loop',
    { containers: [restarted(12, 86_400)], status: readyFor(12) },
    { health: 'healthy' },
  ],
  [
    'an init container repeated after a restart of the node',
    {
      ready: false,
      status: { phase: 'Pending', startTime: ago(20), containerStatuses: [waiting('PodInitializing')] },
      initContainers: [
        containerStatus('migrate', {
          ready: false,
          restartCount: 1,
          state: { running: { startedAt: ago(1) } },
          lastState: terminated(0, 'Completed'),
        }),
      ],
    },
    { health: 'progressing' },
  ],
  [
    'image pull fails',
    {
      ready: false,
      status: { phase: 'Pending' },
      containers: [waiting('ErrImagePull', 'rpc error: code = NotFound desc = manifest unknown')],
    },
    {
      health: 'degraded',
      reason: 'ImagePullBackOff',
      message:
        'container app of pod web-1 cannot pull the image registry.example/app:1: rpc error: code = NotFound desc = manifest unknown',
    },
  ],
  [
    'image pull is backed off',
    { status: { phase: 'Pending' }, containers: [waiting('ImagePullBackOff', 'Back-off pulling image "x:1"')] },
    { reason: 'ImagePullBackOff', message: 'container app of pod web-1 cannot pull the image registry.example/app:1' },
  ],
  [
    'invalid image name',
    { status: { phase: 'Pending' }, containers: [waiting('InvalidImageName', 'invalid reference format')] },
    { health: 'degraded', reason: 'InvalidImageName' },
  ],
  [
    'a missing secret',
    { status: { phase: 'Pending' }, containers: [waiting('CreateContainerConfigError', 'secret "db" not found')] },
    {
      health: 'degraded',
      reason: 'CreateContainerConfigError',
      message: 'container app of pod web-1 cannot start: secret "db" not found',
    },
  ],
  [
    'a command that cannot run, which may hold secrets',
    { containers: [waiting('RunContainerError', 'exec: "run --password=hunter2": not found')] },
    { health: 'degraded', reason: 'RunContainerError', message: 'container app of pod web-1 cannot start' },
  ],
  [
    'a reason nobody knows is no failure',
    { ready: false, status: { phase: 'Pending', startTime: ago(5) }, containers: [waiting('WarmingUp')] },
    { health: 'progressing', reason: 'WarmingUp' },
  ],
  [
    'starting',
    { ready: false, status: { phase: 'Pending', startTime: ago(5) }, containers: [waiting('ContainerCreating')] },
    { health: 'progressing', reason: 'ContainersStarting', recheckAfterMs: 595_000 },
  ],
  [
    'held by a gate',
    { status: pending(condition('PodScheduled', 'False', 'SchedulingGated', 'blocked by gates')), ready: false },
    { health: 'progressing', reason: 'SchedulingGated' },
  ],
  [
    'unschedulable for 5 s',
    { status: pending(condition('PodScheduled', 'False', 'Unschedulable', '0/3 nodes are available', 5)) },
    { health: 'progressing', reason: 'Unschedulable', recheckAfterMs: 10_000 },
  ],
  [
    'unschedulable for 15 s',
    { status: pending(condition('PodScheduled', 'False', 'Unschedulable', '0/3 nodes are available', 15)) },
    { health: 'degraded', reason: 'Unschedulable', message: 'pod web-1 has no node: 0/3 nodes are available' },
  ],
  [
    'being deleted',
    { metadata: { deletionTimestamp: ago(60) } },
    { health: 'terminating', reason: 'Terminating', recheckAfterMs: 240_000 },
  ],
  [
    'not ended by a silent node',
    { metadata: { deletionTimestamp: ago(301) } },
    {
      health: 'terminating',
      reason: 'StuckTerminating',
      message: expect.stringContaining('node node-1 has not ended it'),
    },
  ],
];

describe('podStatus', () => {
  it.each(table)('%s', (_, options, expected) => {
    expect(statusOf('Pod', podJson('web-1', options))).toMatchObject(expected);
  });

  it('tells lost readiness at once, a first start not', () => {
    const unready = podJson('web-1', {
      ready: false,
      status: { conditions: [condition('Ready', 'False', 'ContainersNotReady', undefined, 1)] },
    });
    const previous = statusOf('Pod', podJson('web-1'));
    const lost = statusOf('Pod', unready, { previous });
    expect(lost).toMatchObject({ health: 'degraded', reason: 'ReadinessLost' });
    expect(statusOf('Pod', unready, { previous: lost })).toMatchObject({ health: 'degraded', reason: 'ReadinessLost' });
    expect(statusOf('Pod', unready)).toMatchObject({ health: 'progressing' });
  });

  it('tells a crash loop in the same words while it waits and while it runs', () => {
    const waits = statusOf('Pod', podJson('web-1', { ready: false, containers: [crashing('app', 1, 'Error', 3)] }));
    const runs = statusOf('Pod', podJson('web-1', { containers: [restarted(1)], status: readyFor(1) }));
    expect({ ...runs, details: null, recheckAfterMs: null }).toEqual({ ...waits, details: null });
  });

  it('becomes healthy by time alone, at the moment it named', () => {
    const pod = podJson('web-1', { containers: [restarted(6)], status: readyFor(4) });
    const { recheckAfterMs } = statusOf('Pod', pod);
    expect(statusOf('Pod', pod, { now: NOW + (recheckAfterMs ?? 0) - 1 }).health).toBe('degraded');
    expect(statusOf('Pod', pod, { now: NOW + (recheckAfterMs ?? 0) }).health).toBe('healthy');
  });
});
