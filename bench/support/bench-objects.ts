// Objects of a size and shape as real API servers send them.

/** An object as the scripted API server keeps it. */
export interface StoredObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

const NOW = '2026-01-01T00:00:00Z';
const uid = (prefix: string, n: number): string => `${prefix}-0000-4000-8000-${String(n).padStart(12, '0')}`;

function managedFields(manager: string, paths: number): unknown {
  const fields = Object.fromEntries(
    Array.from({ length: paths }, (_, i) => [`f:field${i}`, { '.': {}, 'f:name': {}, 'f:value': {} }]),
  );
  return {
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time: NOW,
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:spec': fields },
  };
}

/** A Deployment as its controller leaves it, all well; `serial` stands in `status.readyReplicas`. */
export function withStatus(applied: StoredObject, resourceVersion: string, serial: number): StoredObject {
  return {
    ...applied,
    metadata: { ...applied.metadata, resourceVersion },
    status: {
      observedGeneration: 1,
      replicas: 1,
      updatedReplicas: 1,
      readyReplicas: serial,
      availableReplicas: 1,
      conditions: [
        {
          type: 'Available',
          status: 'True',
          lastUpdateTime: NOW,
          lastTransitionTime: NOW,
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        },
        {
          type: 'Progressing',
          status: 'True',
          lastUpdateTime: NOW,
          lastTransitionTime: NOW,
          reason: 'NewReplicaSetAvailable',
          message: 'The ReplicaSet has successfully progressed.',
        },
      ],
    },
  };
}

/** A running pod of about 9 KB of JSON, 2.7 KB of it managed fields, as research and users report them. */
export function pod(namespace: string, n: number): StoredObject {
  const owner = Math.floor(n / 10);
  const name = `checkout-service-${owner}-7d9c8b6f5-${n}`;
  const variables = Array.from({ length: 24 }, (_, i) => ({
    name: `CHECKOUT_SETTING_${i}`,
    value: `https://config.example.internal/settings/${i}/${'v'.repeat(40)}`,
  }));
  const condition = (type: string) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: NOW });
  return {
    metadata: {
      name,
      namespace,
      uid: uid('99999999', n),
      resourceVersion: String(100_000 + n),
      generateName: `checkout-service-${owner}-7d9c8b6f5-`,
      creationTimestamp: NOW,
      labels: {
        app: `checkout-service-${owner}`,
        'pod-template-hash': '7d9c8b6f5',
        'app.kubernetes.io/part-of': 'shop',
      },
      annotations: {
        'prometheus.io/scrape': 'true',
        'example.com/checksum': 'c'.repeat(64),
        'example.com/notes': 'n'.repeat(600),
      },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `checkout-service-${owner}-7d9c8b6f5`,
          uid: uid('88888888', owner),
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [managedFields('kube-controller-manager', 22), managedFields('kubelet', 22)],
    },
    spec: {
      nodeName: `node-${n % 100}`,
      restartPolicy: 'Always',
      serviceAccountName: 'checkout',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
      volumes: [
        {
          name: 'token',
          projected: {
            defaultMode: 420,
            sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }],
          },
        },
      ],
      containers: [
        {
          name: 'app',
          image: `registry.example.com/shop/checkout@sha256:${'a'.repeat(64)}`,
          command: ['/app/server', '--port=8080', `--config=${'/etc/checkout/'.repeat(8)}`],
          env: variables,
          resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
          livenessProbe: { httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' }, periodSeconds: 10 },
          volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }],
        },
      ],
    },
    status: {
      phase: 'Running',
      hostIP: '10.0.0.1',
      podIP: `10.1.${n % 250}.${Math.floor(n / 250)}`,
      startTime: NOW,
      qosClass: 'Burstable',
      conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(
        condition,
      ),
      containerStatuses: [
        {
          name: 'app',
          ready: true,
          started: true,
          restartCount: 0,
          image: 'registry.example.com/shop/checkout:1.2.3',
          imageID: `registry.example.com/shop/checkout@sha256:${'a'.repeat(64)}`,
          containerID: `containerd://${'b'.repeat(64)}`,
          state: { running: { startedAt: NOW } },
          lastState: {},
        },
      ],
    },
  };
}
