import { join } from 'node:path';

/** In the order in which they are started. */
export type Component = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

export interface ComponentArguments {
  readonly directory: string;
  /** The API server's. */
  readonly port: number;
  readonly etcdUrl: string;
  readonly caFile: string;
  readonly tokenFile: string;
  /** The administrator's. */
  readonly kubeconfigFile: string;
  readonly servingCertificateFile: string;
  readonly servingKeyFile: string;
  readonly serviceAccountKeyFile: string;
  readonly serviceAccountPublicKeyFile: string;
}

/** The command lines of the control plane, tuned for a fast start and a fast end; nothing listens beyond 127.0.0.1. */
export function componentArguments(settings: ComponentArguments): Record<Component, string[]> {
  const clientFlags = [
    `--kubeconfig=${settings.kubeconfigFile}`,
    '--leader-elect=false',
    '--secure-port=0',
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
  ];
  return {
    etcd: [
      `--data-dir=${join(settings.directory, 'etcd')}`,
      `--listen-client-urls=${settings.etcdUrl}`,
      `--advertise-client-urls=${settings.etcdUrl}`,
      '--listen-peer-urls=http://127.0.0.1:0',
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    'kube-apiserver': [
      `--etcd-servers=${settings.etcdUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${settings.port}`,
      `--tls-cert-file=${settings.servingCertificateFile}`,
      `--tls-private-key-file=${settings.servingKeyFile}`,
      `--cert-dir=${join(settings.directory, 'pki')}`,
      `--client-ca-file=${settings.caFile}`,
      `--token-auth-file=${settings.tokenFile}`,
      '--authorization-mode=RBAC',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${settings.serviceAccountPublicKeyFile}`,
      `--service-account-signing-key-file=${settings.serviceAccountKeyFile}`,
      '--service-cluster-ip-range=10.0.0.0/16',
      '--endpoint-reconciler-type=none',
      '--allow-privileged=true',
      '--shutdown-delay-duration=0',
      '--profiling=false',
    ],
    'kube-controller-manager': [
      ...clientFlags,
      `--service-account-private-key-file=${settings.serviceAccountKeyFile}`,
      `--root-ca-file=${settings.caFile}`,
      // No node agent reports and no metrics API answers: both controllers would undo what the played kubelet writes.
      '--controllers=*,-node-lifecycle-controller,-horizontal-pod-autoscaler-controller',
      '--profiling=false',
    ],
    'kube-scheduler': [...clientFlags, '--profiling=false'],
  };
}
