import { describe, expect, it } from '@jest/globals';
import {
  NOW,
  ago,
  condition,
  containerStatus,
  objectJson,
  ownedBy,
  podJson,
  statusOf,
  terminated,
  type Surroundings,
} from '../../../test/support/status-objects.js';

type Json = Record<string, unknown>;

function job(status: Json, spec: Json = {}, name = 'report', metadata: Json = {}): Json {
  return objectJson(name, metadata, {
    spec: { completions: 3, parallelism: 1, backoffLimit: 6, suspend: false, ...spec },
    status: { startTime: ago(60), active: 1, ready: 1, ...status },
  });
}

const failedPod = podJson('report-x', {
  spec: { restartPolicy: 'Never' },
  status: { phase: 'Failed' },
  containers: [containerStatus('app', { ready: false, state: terminated(7, 'Error') })],
});
const stuckPod = podJson('report-y', {
  status: { phase: 'Pending' },
  containers: [containerStatus('app', { ready: false, state: { waiting: { reason: 'ImagePullBackOff' } } })],
});
const limit = condition('Failed', 'True', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit');

const jobs: readonly [string, Json, Json, Surroundings?][] = [
  [
    'running',
    job({ succeeded: 1 }),
    { health: 'progressing', reason: 'JobRunning', message: '1 active, 1 of 3 succeeded' },
  ],
  ['complete', job({ active: 0, succeeded: 3, conditions: [condition('Complete', 'True')] }), { health: 'completed' }],
  ['resumed', job({ conditions: [condition('Suspended', 'False', 'JobResumed')] }), { health: 'progressing' }],
  [
    'suspended',
    job({ active: 0, conditions: [condition('Suspended', 'True')] }, { suspend: true }),
    { health: 'suspended' },
  ],
  [
    'failed',
    job({ conditions: [limit] }),
    {
      health: 'degraded',
      reason: 'BackoffLimitExceeded',
      message:
        'job report failed: Job has reached the specified backoff limit; container app of pod report-x ended with exit code 7 (Error)',
    },
    { children: { Pod: [failedPod] } },
  ],
  [
    'failing early',
    job({ conditions: [condition('FailureTarget', 'True', 'PodFailurePolicy', 'matching FailJob rule')] }),
    { health: 'degraded', reason: 'PodFailurePolicy' },
  ],
  [
    'succeeding early',
    job({ conditions: [condition('SuccessCriteriaMet', 'True')] }),
    { health: 'progressing', reason: 'SuccessCriteriaMet' },
  ],
  [
    'retrying after a failed pod',
    job({ failed: 1 }),
    { health: 'progressing', message: expect.stringMatching(/1 failed \(6 retries allowed\); .* exit code 7/) },
    { children: { Pod: [failedPod] } },
  ],
  [
    'a pod that cannot start',
    job({}),
    { health: 'degraded', reason: 'ImagePullBackOff' },
    { children: { Pod: [stuckPod] } },
  ],
  [
    'a pod that starts for ever',
    job({}),
    { health: 'degraded', reason: 'ContainersStarting' },
    { children: { Pod: [podJson('slow', { status: { phase: 'Pending' }, containers: [] })] } },
  ],
  ['never started', job({ startTime: undefined, active: 0 }), { health: 'degraded', reason: 'NotStarted' }],
];

describe('jobStatus', () => {
  it.each(jobs)('%s', (_, json, expected, surroundings = {}) => {
    expect(statusOf('Job', json, surroundings)).toMatchObject(expected);
  });
});

function cronJob(status: Json = {}, spec: Json = {}): Json {
  return objectJson('nightly', {}, { spec: { schedule: '0 3 * * *', suspend: false, ...spec }, status });
}

const owned = ownedBy('CronJob', 'nightly');
const failedRun = job({ conditions: [limit] }, {}, 'nightly-1', owned);
const goodRun = job(
  { succeeded: 3, completionTime: ago(30), conditions: [condition('Complete', 'True')] },
  {},
  'nightly-2',
  owned,
);
const activeRun = job({}, {}, 'nightly-3', owned);
const runs = (...list: Json[]): Surroundings => ({ children: { Job: list } });

const cronJobs: readonly [string, Json, Json, Surroundings?][] = [
  ['waiting for its schedule', cronJob(), { health: 'healthy', reason: 'WaitingForSchedule' }],
  [
    'scheduled',
    cronJob({ lastScheduleTime: ago(60), lastSuccessfulTime: ago(30) }),
    { health: 'healthy', reason: null },
  ],
  [
    'running',
    cronJob({ active: [{ name: 'x' }], lastScheduleTime: ago(9) }),
    { health: 'healthy', reason: 'JobRunning' },
  ],
  ['suspended', cronJob({}, { suspend: true }), { health: 'suspended' }, runs(failedRun)],
  ['its last run failed', cronJob(), { health: 'degraded', reason: 'BackoffLimitExceeded' }, runs(failedRun)],
  ['a later run succeeded', cronJob(), { health: 'healthy' }, runs(failedRun, goodRun)],
  ['failed, and the next one runs', cronJob(), { health: 'degraded' }, runs(failedRun, activeRun)],
  [
    'its present run cannot start',
    cronJob({ active: [{}] }),
    { health: 'degraded', reason: 'ImagePullBackOff' },
    {
      children: {
        Job: [activeRun],
        Pod: [{ ...stuckPod, metadata: { ...(stuckPod.metadata as Json), ...ownedBy('Job', 'nightly-3') } }],
      },
    },
  ],
];

describe('cronJobStatus', () => {
  it.each(cronJobs)('%s', (_, json, expected, surroundings = {}) => {
    expect(statusOf('CronJob', json, surroundings)).toMatchObject(expected);
  });

  it('remembers a failure after its Job was removed, until a run succeeds', () => {
    const failed = statusOf('CronJob', cronJob(), runs(failedRun));
    const stored = JSON.parse(JSON.stringify(failed)) as typeof failed;
    const removed = statusOf('CronJob', cronJob(), { previous: stored, now: NOW + 86_400_000 });
    expect(removed).toMatchObject({ health: 'degraded', reason: 'BackoffLimitExceeded', message: failed.message });
    const suspended = statusOf('CronJob', cronJob({}, { suspend: true }), { previous: removed });
    expect(statusOf('CronJob', cronJob(), { previous: suspended })).toMatchObject({ health: 'degraded' });
    const success = cronJob({ lastSuccessfulTime: ago(10) });
    expect(statusOf('CronJob', success, { previous: suspended })).toMatchObject({ health: 'healthy' });
  });
});
