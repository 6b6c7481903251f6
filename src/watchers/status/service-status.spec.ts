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

function service(spec: Json = {}, status: Json = { loadBalancer: {} }): Json {
  const ports = [{ port: 80, protocol: 'TCP', targetPort: 8080 }];
  return objectJson(
    'web',
    { generation: undefined },
    { spec: { type: 'ClusterIP', clusterIP: '10.0.0.9', ports, selector: { app: 'web' }, ...spec }, status },
  );
}

const ready = { pods: [podJson('web-1')] };
const unready = { pods: [podJson('web-1', { ready: false })] };
const balanced = (...ingress: Json[]): Json => ({ loadBalancer: { ingress } });
const balancer = { type: 'LoadBalancer' };

const services: readonly [string, Json, Json, Surroundings?][] = [
  [
    'a ready pod',
    service(),
    { health: 'healthy', reason: null, details: expect.objectContaining({ readyPods: 1 }) },
    ready,
  ],
  ['no ready pod yet', service(), { health: 'progressing', reason: 'NoReadyPods', recheckAfterMs: 600_000 }, unready],
  ['no pod at all yet', service(), { health: 'progressing', message: 'no pod matches its selector' }],
  [
    'only a pod that is being deleted',
    service(),
    { health: 'progressing' },
    { pods: [podJson('old', { metadata: { deletionTimestamp: ago(1) } })] },
  ],
  ['unready addresses published', service({ publishNotReadyAddresses: true }), { health: 'healthy' }, unready],
  ['headless before its first pod', service({ clusterIP: 'None' }), { health: 'healthy', reason: 'Headless' }],
  ['without a selector', service({ selector: undefined }), { health: 'healthy' }],
  [
    'external name',
    service({ type: 'ExternalName', clusterIP: undefined, externalName: 'x.test' }),
    { health: 'healthy' },
  ],
  ['without a cluster IP', service({ clusterIP: '' }), { health: 'progressing', reason: 'ClusterIPPending' }, ready],
  ['load balancer pending', service(balancer), { health: 'progressing', reason: 'LoadBalancerPending' }, ready],
  [
    'load balancer',
    service(balancer, balanced({ hostname: 'lb.test' })),
    { health: 'healthy', details: expect.objectContaining({ addresses: ['lb.test'] }) },
    ready,
  ],
  ['external IPs', service({ ...balancer, externalIPs: ['192.0.2.1'] }), { health: 'healthy' }, ready],
  [
    'a port that cannot be opened',
    service(balancer, balanced({ ip: '192.0.2.1', ports: [{ port: 80, protocol: 'TCP', error: 'QuotaExceeded' }] })),
    { health: 'degraded', reason: 'LoadBalancerPortsError', message: 'port 80/TCP: QuotaExceeded' },
    ready,
  ],
  [
    'mixed protocols refused',
    service(balancer, {
      conditions: [condition('LoadBalancerPortsError', 'True', 'LoadBalancerMixedProtocolNotSupported')],
    }),
    { health: 'degraded', reason: 'LoadBalancerMixedProtocolNotSupported' },
    ready,
  ],
];

describe('serviceStatus', () => {
  it.each(services)('%s', (_, json, expected, surroundings = {}) => {
    expect(statusOf('Service', json, surroundings)).toMatchObject(expected);
  });

  it('is degraded at once when the pods it had are gone, and after the deadline when none ever came', () => {
    const served = statusOf('Service', service(), ready);
    const lost = statusOf('Service', service(), { ...unready, previous: served });
    expect(lost).toMatchObject({ health: 'degraded', reason: 'NoReadyPods' });
    expect(statusOf('Service', service(), { ...unready, previous: lost })).toMatchObject({ health: 'degraded' });
    const begun = statusOf('Service', service(), {});
    const between = statusOf('Service', service(), { ...unready, previous: begun, now: NOW + 599_000 });
    expect(between).toMatchObject({ health: 'progressing', recheckAfterMs: 1_000 });
    const late = statusOf('Service', service(), { ...unready, previous: between, now: NOW + 600_000 });
    expect(late).toMatchObject({ health: 'degraded', reason: 'NoReadyPods' });
  });

  it('does not wait for a load balancer for ever', () => {
    const previous = statusOf('Service', service(balancer), ready);
    const late = statusOf('Service', service(balancer), { ...ready, previous, now: NOW + 600_000 });
    expect(late).toMatchObject({ health: 'degraded', reason: 'LoadBalancerPending' });
  });
});
