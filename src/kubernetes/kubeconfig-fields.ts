const FLATTEN = 'run `kubectl config view --raw --flatten --minify` and send its output, which carries the content';
const SERVICE_ACCOUNT = [
  'give the token of a ServiceAccount instead:',
  '`kubectl -n kube-system create serviceaccount crowsnest`,',
  '`kubectl create clusterrolebinding crowsnest --clusterrole=cluster-admin --serviceaccount=kube-system:crowsnest`,',
  '`kubectl -n kube-system create token crowsnest --duration=8760h`',
].join(' ');

const NAMES_A_FILE = `names a file of your machine, which the service does not read; ${FLATTEN}`;
const RUNS_A_PROGRAM = `runs a program to log in, which the service does not do; ${SERVICE_ACCOUNT}`;
const BASIC = `name and password are no login of Kubernetes any more; ${SERVICE_ACCOUNT}`;
const IMPERSONATES = 'acts as somebody else, which is not supported; give the credential of that user';

/** What may stand in one kind of object of a kubeconfig, and why something well-known may not. */
export interface KubeconfigFields {
  readonly used: readonly string[];
  /** Written by kubectl and other tools, and without any effect here. */
  readonly ignored: readonly string[];
  readonly refused: Readonly<Record<string, string>>;
}

const NAMED = { ignored: [], refused: {} } as const;

/** https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
export const KUBECONFIG_FIELDS = {
  config: {
    used: ['apiVersion', 'kind', 'clusters', 'users', 'contexts', 'current-context'],
    ignored: ['preferences', 'extensions'],
    refused: {},
  },
  namedCluster: { ...NAMED, used: ['name', 'cluster'] },
  namedUser: { ...NAMED, used: ['name', 'user'] },
  namedContext: { ...NAMED, used: ['name', 'context'] },
  cluster: {
    used: ['server', 'certificate-authority-data', 'tls-server-name'],
    ignored: ['extensions', 'disable-compression'],
    refused: {
      'certificate-authority': NAMES_A_FILE,
      'insecure-skip-tls-verify':
        "would send the credential to whoever answers; put the server's CA into certificate-authority-data",
      'proxy-url': 'the service connects directly; use an address of the API server that it can reach',
    },
  },
  user: {
    used: ['token', 'client-certificate-data', 'client-key-data'],
    ignored: ['extensions'],
    refused: {
      exec: RUNS_A_PROGRAM,
      'auth-provider': RUNS_A_PROGRAM,
      'token-file': NAMES_A_FILE,
      tokenFile: NAMES_A_FILE,
      'client-certificate': NAMES_A_FILE,
      'client-key': NAMES_A_FILE,
      username: BASIC,
      password: BASIC,
      as: IMPERSONATES,
      'as-uid': IMPERSONATES,
      'as-groups': IMPERSONATES,
      'as-user-extra': IMPERSONATES,
    },
  },
  context: { used: ['cluster', 'user', 'namespace'], ignored: ['extensions'], refused: {} },
} as const satisfies Record<string, KubeconfigFields>;
