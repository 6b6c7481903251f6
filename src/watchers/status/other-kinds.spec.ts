import { describe, expect, it } from '@jest/globals';
import {
  NOW,
  ago,
  condition,
  objectJson,
  podJson,
  statusOf,
  type Surroundings,
} from '../../../test/support/status-objects.js';

type Json = Record<string, unknown>;

function ingress(ingressStatus: readonly Json[] = []): Json {
  return objectJson(
    'web',
    {},
    {
      spec: { ingressClassName: 'nginx', rules: [{ host: 'web.test' }] },
      status: { loadBalancer: { ingress: ingressStatus } },
    },
  );
}

function claim(status: Json, metadata: Json = {}, spec: Json = {}): Json {
  const resources = { requests: { storage: '2Gi' } };
  return objectJson('data', metadata, { spec: { storageClassName: 'local', resources, ...spec }, status });
}

const bound = (over: Json = {}): Json => claim({ phase: 'Bound', capacity: { storage: '1Gi' }, ...over });

function autoscaler(...conditions: Json[]): Json {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
  return objectJson(
    'web',
    { generation: undefined },
    {
      spec: { scaleTargetRef, minReplicas: 2, maxReplicas: 9 },
      status: { currentReplicas: 2, desiredReplicas: 2, conditions },
    },
  );
}

const able = condition('AbleToScale', 'True', 'ReadyForNewScale');
const policy = (podSelector: Json): Json => objectJson('deny', {}, { spec: { podSelector } });
const pods = { pods: [podJson('web-1')] };

const rows: readonly [string, string, Json, Json, Surroundings?][] = [
  ['Ingress', 'accepted, without an address', ingress(), { health: 'healthy', rollout: null }],
  ['Ingress', 'with an address', ingress([{ ip: '192.0.2.1' }]), { health: 'healthy' }],
  [
    'Ingress',
    'a port that cannot be opened',
    ingress([{ ip: '192.0.2.1', ports: [{ port: 443, protocol: 'TCP', error: 'CertificateMissing' }] }]),
    { health: 'degraded', reason: 'PortError', message: 'port 443/TCP: CertificateMissing' },
  ],
  ['NetworkPolicy', 'for all pods', policy({}), { health: 'healthy', reason: null }, pods],
  [
    'NetworkPolicy',
    'for no pod',
    policy({ matchLabels: { app: 'db' } }),
    { health: 'healthy', reason: 'SelectsNoPods' },
    pods,
  ],
  [
    'NetworkPolicy',
    'by expressions',
    policy({
      matchExpressions: [
        { key: 'app', operator: 'In', values: ['web', 'db'] },
        { key: 'tier', operator: 'DoesNotExist' },
        { key: 'app', operator: 'NotIn', values: ['db'] },
        { key: 'app', operator: 'Exists' },
      ],
    }),
    { health: 'healthy', reason: null },
    pods,
  ],
  ['PersistentVolumeClaim', 'bound', bound(), { health: 'healthy', reason: null }],
  [
    'PersistentVolumeClaim',
    'waiting',
    claim({ phase: 'Pending' }),
    { health: 'progressing', reason: 'WaitingForVolume', recheckAfterMs: null },
  ],
  [
    'PersistentVolumeClaim',
    'being provisioned',
    claim({ phase: 'Pending' }, { annotations: { 'volume.kubernetes.io/selected-node': 'node-1' } }),
    { health: 'progressing', reason: 'Provisioning' },
  ],
  [
    'PersistentVolumeClaim',
    'given a volume',
    claim({ phase: 'Pending' }, {}, { volumeName: 'pv-1' }),
    { health: 'progressing', reason: 'Binding' },
  ],
  [
    'PersistentVolumeClaim',
    'lost',
    claim({ phase: 'Lost' }, {}, { volumeName: 'pv-1' }),
    { health: 'degraded', reason: 'Lost' },
  ],
  [
    'PersistentVolumeClaim',
    'resizing',
    bound({ conditions: [condition('Resizing', 'True')] }),
    { health: 'progressing', reason: 'Resizing', message: '1Gi now, 2Gi requested' },
  ],
  [
    'PersistentVolumeClaim',
    'a resize refused',
    bound({ conditions: [condition('ControllerResizeError', 'True', undefined, 'out of space')] }),
    { health: 'degraded', reason: 'ControllerResizeError', message: 'out of space' },
  ],
  [
    'PersistentVolumeClaim',
    'a resize that can never be',
    bound({ allocatedResourceStatuses: { storage: 'NodeResizeInfeasible' } }),
    { health: 'degraded', reason: 'NodeResizeInfeasible' },
  ],
  [
    'PersistentVolumeClaim',
    'a modification that can never be',
    bound({ modifyVolumeStatus: { status: 'Infeasible' } }),
    { health: 'degraded', reason: 'ModifyVolumeInfeasible' },
  ],
  [
    'HorizontalPodAutoscaler',
    'scaling',
    autoscaler(able, condition('ScalingActive', 'True')),
    { health: 'healthy', reason: null },
  ],
  [
    'HorizontalPodAutoscaler',
    'not seen by its controller',
    autoscaler(),
    { health: 'progressing', reason: 'AwaitingController' },
  ],
  [
    'HorizontalPodAutoscaler',
    'without metrics at first',
    autoscaler(able, condition('ScalingActive', 'False', 'FailedGetResourceMetric', 'no metrics', 20)),
    { health: 'progressing', reason: 'FailedGetResourceMetric', recheckAfterMs: 40_000 },
  ],
  [
    'HorizontalPodAutoscaler',
    'without metrics',
    autoscaler(able, condition('ScalingActive', 'False', 'FailedGetResourceMetric', 'no metrics', 60)),
    { health: 'degraded', reason: 'FailedGetResourceMetric', message: 'no metrics' },
  ],
  [
    'HorizontalPodAutoscaler',
    'without a target',
    autoscaler(condition('AbleToScale', 'False', 'FailedGetScale', 'deployments.apps "web" not found')),
    { health: 'degraded', reason: 'FailedGetScale' },
  ],
  [
    'HorizontalPodAutoscaler',
    'a target at 0',
    autoscaler(able, condition('ScalingActive', 'False', 'ScalingDisabled')),
    { health: 'suspended', reason: 'ScalingDisabled' },
  ],
  [
    'HorizontalPodAutoscaler',
    'at its maximum',
    autoscaler(able, condition('ScalingActive', 'True'), condition('ScalingLimited', 'True', 'TooManyReplicas')),
    { health: 'healthy', reason: 'TooManyReplicas' },
  ],
  ['ConfigMap', 'there', objectJson('settings'), { health: 'healthy', details: {} }],
  ['Secret', 'there', objectJson('keys'), { health: 'healthy', details: {} }],
  ['Secret', 'being deleted', objectJson('keys', { deletionTimestamp: ago(1) }), { health: 'terminating' }],
];

describe('the kinds without replicas', () => {
  it.each(rows)('%s: %s', (kind, _, json, expected, surroundings = {}) => {
    expect(statusOf(kind, json, surroundings)).toMatchObject(expected);
  });

  it('does not wait for an autoscaler controller for ever', () => {
    const previous = statusOf('HorizontalPodAutoscaler', autoscaler());
    const late = statusOf('HorizontalPodAutoscaler', autoscaler(), { previous, now: NOW + 600_000 });
    expect(late).toMatchObject({ health: 'degraded', reason: 'AwaitingController' });
  });
});
