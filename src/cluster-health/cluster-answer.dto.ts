import { z } from 'zod';
import { pageSchema } from '../http/page.js';
import { CLUSTER_REASON_CODES } from './cluster.js';

const time = z.iso.datetime();

const Reason = z
  .object({
    code: z.enum(CLUSTER_REASON_CODES),
    message: z.string().meta({ description: 'What happened and what to do.' }),
  })
  .meta({ id: 'ClusterReason' });

const Metadata = z
  .object({
    version: z.string().nullable().meta({ description: 'Of Kubernetes.', example: 'v1.36.3' }),
    nodes: z.object({ total: z.int(), ready: z.int() }).nullable(),
    capacity: z
      .object({
        cpu: z.number().meta({ description: 'Cores.' }),
        memory: z.number().meta({ description: 'Bytes.' }),
        pods: z.int(),
      })
      .nullable()
      .meta({ description: 'Sum over all nodes.' }),
    namespaces: z
      .object({ total: z.int(), names: z.array(z.string()) })
      .nullable()
      .meta({ description: 'At most 1000 names; of a limited cluster, those of its namespaces that exist.' }),
    unavailable: z
      .object({ nodes: Reason.optional(), capacity: Reason.optional(), namespaces: Reason.optional() })
      .meta({ description: 'Why a part is null.' }),
    fetchedAt: time.nullable(),
  })
  .meta({ id: 'ClusterMetadata' });

export const ClusterAnswer = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    name: z.string(),
    labels: z.record(z.string(), z.string()),
    server: z.string(),
    caFingerprint: z
      .string()
      .nullable()
      .meta({ description: 'SHA-256 of the first CA certificate, as `openssl x509 -fingerprint -sha256` writes it.' }),
    tlsServerName: z.string().nullable(),
    credentialType: z.enum(['token', 'client-certificate', 'in-cluster']),
    context: z.string().nullable(),
    namespaces: z.array(z.string()).nullable(),
    uid: z.string().nullable().meta({ description: 'UID of the namespace kube-system, where it could be read.' }),
    reachable: z
      .boolean()
      .nullable()
      .meta({ description: 'Whether the cluster can be used; null before the first check.' }),
    latencyMs: z
      .int()
      .nullable()
      .meta({ description: 'GET /version on a fresh connection, name resolution and handshakes included.' }),
    checkedAt: time.nullable(),
    reason: Reason.nullable(),
    metadata: Metadata,
    version: z.int().meta({ description: 'Grows with each change by a user. PATCH and PUT carry it.' }),
    createdAt: time,
    createdBy: z.string(),
    updatedAt: time,
  })
  .meta({ id: 'Cluster' });

export const ClusterPage = pageSchema(ClusterAnswer, 'ClusterPage');

const HealthPoint = z
  .object({
    at: time.meta({ description: 'When the check began, or the beginning of the hour.' }),
    checks: z.int(),
    reachableChecks: z.int(),
    latencyMs: z.int().nullable().meta({ description: 'Mean over the checks that reached the cluster.' }),
    minLatencyMs: z.int().nullable(),
    maxLatencyMs: z.int().nullable(),
    reason: z.enum(CLUSTER_REASON_CODES).nullable().meta({ description: 'Of a single check.' }),
  })
  .meta({ id: 'ClusterHealthPoint' });

export const ClusterHealthHistory = z
  .object({
    resolution: z
      .enum(['check', 'hour'])
      .meta({ description: 'Each check, or the sums of each hour where `since` is older than the checks are kept.' }),
    items: z.array(HealthPoint),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'ClusterHealthHistory' });
export type ClusterHealthHistory = z.infer<typeof ClusterHealthHistory>;
