type Manifest = Record<string, unknown> & { kind: string; metadata: { name: string } };

export interface NodeInput {
  readonly id: string;
  readonly manifest: Manifest;
}

const container = { name: 'app', image: 'registry.test/app:1' };

function podTemplate(app: string, extra: Record<string, unknown> = {}) {
  return { metadata: { labels: { app } }, spec: { containers: [container], ...extra } };
}

function workload(kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'ReplicaSet', name: string, spec = {}): Manifest {
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name },
    spec: { selector: { matchLabels: { app: name } }, template: podTemplate(name), ...spec },
  };
}

export function deployment(name: string, replicas: number): Manifest {
  return workload('Deployment', name, { replicas });
}

export function configMap(name: string, data: Record<string, string> = { color: 'blue' }): Manifest {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}

export function secret(name: string, stringData: Record<string, string>): Manifest {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData };
}

/** One node of each of the 14 kinds, which all become healthy or completed on the tests' control plane. */
export function everyKind(): NodeInput[] {
  const job = { template: podTemplate('job', { restartPolicy: 'Never' }) };
  return [
    { id: 'settings', manifest: configMap('settings') },
    { id: 'password', manifest: secret('password', { value: 'correct horse' }) },
    {
      id: 'claim',
      manifest: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'claim' },
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: '',
          resources: { requests: { storage: '1Gi' } },
        },
      },
    },
    { id: 'web', manifest: deployment('web', 2) },
    {
      id: 'front',
      manifest: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'front' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
      },
    },
    { id: 'db', manifest: workload('StatefulSet', 'db', { replicas: 1, serviceName: 'db' }) },
    { id: 'agent', manifest: workload('DaemonSet', 'agent') },
    { id: 'legacy', manifest: workload('ReplicaSet', 'legacy', { replicas: 1 }) },
    {
      id: 'pod',
      manifest: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod' }, spec: { containers: [container] } },
    },
    { id: 'migrate', manifest: { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'migrate' }, spec: job } },
    {
      id: 'nightly',
      manifest: {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'nightly' },
        spec: { schedule: '0 3 * * *', jobTemplate: { spec: job } },
      },
    },
    {
      id: 'entry',
      manifest: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: { name: 'entry' },
        spec: { defaultBackend: { service: { name: 'front', port: { number: 80 } } } },
      },
    },
    {
      id: 'scaler',
      manifest: {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'scaler' },
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
          minReplicas: 1,
          maxReplicas: 5,
          metrics: [
            { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
          ],
        },
      },
    },
    {
      id: 'fence',
      manifest: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'fence' },
        spec: { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] },
      },
    },
  ];
}
