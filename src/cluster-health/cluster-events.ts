import type { ClusterHealth } from './cluster.js';

export interface ClusterChecked {
  readonly clusterId: string;
  readonly tenantId: string;
  readonly health: ClusterHealth;
  /** Grows with every stored change of the cluster, health included. */
  readonly sequence: number;
}

export interface ClusterChanged {
  readonly clusterId: string;
  readonly tenantId: string;
  readonly name: string;
  /** `updated`: name, labels, namespaces, endpoint or credential. */
  readonly change: 'created' | 'updated' | 'deleted';
  /** Null for a deleted one. */
  readonly health: ClusterHealth | null;
  readonly sequence: number;
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    /** A check's result was stored. */
    'cluster.checked': ClusterChecked;
    'cluster.changed': ClusterChanged;
  }
}
