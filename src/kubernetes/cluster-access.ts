/** How we prove who we are to an API server. One immutable value, always replaced whole. */
export type ClusterCredential =
  | { readonly type: 'token'; readonly token: string }
  | { readonly type: 'client-certificate'; readonly certificateData: string; readonly keyData: string }
  /** The pod's own service account: token and CA come from files that the kubelet rotates. */
  | { readonly type: 'in-cluster' };

/** Where a cluster is and how its server is known. Not secret. */
export interface ClusterEndpoint {
  /** Origin and optional path, https only: `https://10.0.0.1:6443`. */
  readonly server: string;
  /** PEM bundle that the server's certificate must chain to; absent: the system's roots. */
  readonly caData?: string;
  /** Name expected in the certificate when it is not the server's host. */
  readonly tlsServerName?: string;
}

/** All that is needed to talk to one cluster: the opened credential, kept in memory only. */
export interface ClusterAccess extends ClusterEndpoint {
  readonly clusterId: string;
  /** Changes with every change of endpoint or credential; connections made for another one are closed. */
  readonly accessVersion: number;
  readonly credential: ClusterCredential;
}

/** Port: where `kubernetes/` gets the access of a registered cluster. Implemented by `cluster-health/`. */
export interface ClusterAccessProvider {
  /** Throws AppError `resource.not_found` for an unknown id, `cluster.credential_required` for one that cannot be opened. */
  accessOf(clusterId: string): Promise<ClusterAccess>;
}
