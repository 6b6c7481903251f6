import { Schema, type Types } from 'mongoose';
import { schemaOptions } from '../database/schema-options.js';
import type { ClusterCredential } from '../kubernetes/cluster-access.js';
import { CLUSTER_REASON_CODES, type ClusterMetadata, type ClusterReason } from './cluster.js';

export interface StoredMetadata extends ClusterMetadata {
  readonly fetchedAt: Date;
}

/** What a check finds out, written as one. */
export interface StoredHealth {
  readonly uid: string | null;
  readonly reachable: boolean | null;
  readonly latencyMs: number | null;
  /** When the check began, so that a slow one never hides a newer one. */
  readonly checkedAt: Date | null;
  readonly reason: ClusterReason | null;
  readonly kubernetesVersion: string | null;
  readonly metadata: StoredMetadata | null;
}

/** Where the cluster is and how we prove who we are: replaced whole, by one update that grows `accessVersion`. */
export interface StoredAccess {
  readonly server: string;
  readonly caData: string | null;
  /** SHA-256 of the first certificate of the CA bundle. */
  readonly caFingerprint: string | null;
  readonly tlsServerName: string | null;
  readonly context: string | null;
  readonly credentialType: ClusterCredential['type'];
  /** Sealed JSON of the credential, bound to tenant, cluster, server and CA. */
  readonly credential: string;
  /** SHA-256 of server and CA: the same endpoint is registered once in a tenant. */
  readonly endpointKey: string;
  readonly accessVersion: number;
}

export interface ClusterDocument extends StoredAccess, StoredHealth {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly name: string;
  readonly labels: ReadonlyArray<{ readonly key: string; readonly value: string }>;
  readonly namespaces: readonly string[] | null;
  /** Grows with every stored change, health included: orders a stream's snapshot and the changes around it. */
  readonly sequence: number;
  readonly version: number;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
}

const nested = { _id: false, strict: 'throw' } as const;

const reason = new Schema(
  { code: { type: String, enum: CLUSTER_REASON_CODES, required: true }, message: { type: String, required: true } },
  nested,
);

const metadata = new Schema(
  {
    nodes: { type: new Schema({ total: Number, ready: Number }, nested), default: null },
    capacity: { type: new Schema({ cpu: Number, memory: Number, pods: Number }, nested), default: null },
    namespaces: { type: new Schema({ total: Number, names: [String] }, nested), default: null },
    unavailable: {
      type: new Schema({ nodes: reason, capacity: reason, namespaces: reason }, { ...nested, minimize: false }),
      required: true,
    },
    fetchedAt: { type: Date, required: true },
  },
  nested,
);

export const clusterSchema = new Schema<ClusterDocument>(
  {
    tenantId: { type: String, required: true },
    name: { type: String, required: true },
    labels: { type: [new Schema({ key: String, value: String }, nested)], required: true },
    namespaces: { type: [String], default: null },
    server: { type: String, required: true },
    caData: { type: String, default: null },
    caFingerprint: { type: String, default: null },
    tlsServerName: { type: String, default: null },
    context: { type: String, default: null },
    credentialType: { type: String, enum: ['token', 'client-certificate', 'in-cluster'], required: true },
    credential: { type: String, required: true },
    endpointKey: { type: String, required: true },
    accessVersion: { type: Number, required: true },
    uid: { type: String, default: null },
    reachable: { type: Boolean, default: null },
    latencyMs: { type: Number, default: null },
    checkedAt: { type: Date, default: null },
    reason: { type: reason, default: null },
    kubernetesVersion: { type: String, default: null },
    metadata: { type: metadata, default: null },
    sequence: { type: Number, required: true },
    version: { type: Number, required: true },
    createdAt: { type: Date, required: true },
    createdBy: { type: String, required: true },
    updatedAt: { type: Date, required: true },
  },
  schemaOptions('clusters'),
);
