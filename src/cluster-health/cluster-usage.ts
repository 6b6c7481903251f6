/** One object that a workflow has in a cluster. */
export interface ClusterObject {
  readonly workflowId: string;
  readonly workflowName: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Port: who uses a cluster. Implemented by the workflows, which this room may not know. */
export interface ClusterUsage {
  objectsOf(clusterId: string): Promise<readonly ClusterObject[]>;
  /** Forgets the objects, which stay in the cluster, and stops watching them. Idempotent. */
  abandon(clusterId: string): Promise<void>;
}
