import { z } from 'zod';
import { dnsLabel } from '../http/dns-name.js';
import { labelSelectorQuery } from '../http/label-selector.js';
import { labelsSchema } from '../http/labels.js';
import { objectId } from '../http/object-id.js';
import { pageQuery } from '../http/page.js';
import { HEALTHS } from '../watchers/resource.js';
import { MAX_EDGES, MAX_NODES } from './definition/definition-rules.js';
import { WORKFLOW_STATES } from './workflow.js';

export const MAX_TIMEOUT_MS = 600_000;

const name = dnsLabel.meta({ description: 'DNS label, unique within the tenant.', example: 'shop' });
const clusterId = objectId.meta({ description: 'A registered cluster.', example: '0123456789abcdef01234567' });
const namespace = dnsLabel.meta({ description: 'Namespace of all its objects.', example: 'default' });
const labels = labelsSchema.meta({
  description: 'Labels of the workflow itself, as in Kubernetes.',
  example: { team: 'web' },
});
const onFailure = z.enum(['stop', 'continue']).meta({
  description: 'After a node failed: apply nothing more, or go on with the nodes that do not depend on it.',
});

const NodeInput = z
  .strictObject({
    id: dnsLabel.meta({ description: 'DNS label, unique within the workflow.', example: 'web' }),
    // Taken as it is: the rules of manifests name the path of each wrong field, and a copy would hide hostile keys.
    manifest: z.unknown().meta({
      type: 'object',
      description:
        'One Kubernetes object of a supported kind. `metadata.namespace` is that of the workflow or absent. ' +
        'Values of a Secret are shown as "[sealed]"; a PUT that carries "[sealed]" keeps the stored value.',
      example: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { color: 'blue' } },
    }),
    timeoutMs: z
      .int()
      .min(1_000)
      .max(MAX_TIMEOUT_MS)
      .default(MAX_TIMEOUT_MS)
      .meta({ description: 'How long an edge with `waitFor: healthy` waits for this node.', example: 120_000 }),
  })
  .meta({ id: 'WorkflowNodeInput' });

const EdgeInput = z
  .strictObject({
    source: z.string().max(63).meta({ description: 'Id of the node that comes first.', example: 'settings' }),
    target: z.string().max(63).meta({ description: 'Id of the node that comes after it.', example: 'web' }),
    waitFor: z.enum(['applied', 'healthy']).default('applied').meta({
      description: '`applied`: the API server took the source; `healthy`: the source became healthy or completed.',
    }),
  })
  .meta({ id: 'WorkflowEdgeInput' });

const content = {
  name,
  clusterId,
  namespace,
  labels: labels.default({}),
  onFailure: onFailure.default('stop'),
  nodes: z.array(NodeInput).min(1, 'expected at least one node').max(MAX_NODES, `expected at most ${MAX_NODES} nodes`),
  edges: z.array(EdgeInput).max(MAX_EDGES, `expected at most ${MAX_EDGES} edges`).default([]),
};

const EXAMPLE = {
  name: 'shop',
  clusterId: '0123456789abcdef01234567',
  namespace: 'default',
  labels: { team: 'web' },
  onFailure: 'stop',
  nodes: [
    {
      id: 'settings',
      manifest: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shop-settings' }, data: { color: 'blue' } },
    },
    {
      id: 'web',
      manifest: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'shop-web' },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: 'shop-web' } },
          template: {
            metadata: { labels: { app: 'shop-web' } },
            spec: {
              containers: [
                { name: 'web', image: 'nginx:1.29', envFrom: [{ configMapRef: { name: 'shop-settings' } }] },
              ],
            },
          },
        },
      },
      timeoutMs: 120_000,
    },
  ],
  edges: [{ source: 'settings', target: 'web', waitFor: 'applied' }],
};

export const CreateWorkflow = z
  .strictObject(content)
  .meta({ id: 'CreateWorkflow', description: 'A workflow with its manifests.', example: EXAMPLE });
export type CreateWorkflow = z.infer<typeof CreateWorkflow>;

/** Query of the POST for a body that is the manifests themselves. With a JSON body it is empty. */
export const CreateWorkflowQuery = z.strictObject({
  name: dnsLabel.optional().meta({ description: 'Of the workflow, for a body of YAML.' }),
  clusterId: objectId.optional().meta({ description: 'A registered cluster, for a body of YAML.' }),
  namespace: dnsLabel.optional().meta({ description: 'Of all objects that name none, for a body of YAML.' }),
  onFailure: onFailure.optional(),
});
export type CreateWorkflowQuery = z.infer<typeof CreateWorkflowQuery>;

/** The same query where it is needed. */
export const YamlWorkflowQuery = z.strictObject({
  name,
  clusterId,
  namespace,
  onFailure: onFailure.default('stop'),
});
export type YamlWorkflowQuery = z.infer<typeof YamlWorkflowQuery>;

export const ReplaceWorkflow = z
  .strictObject({
    version: z.int().min(1).meta({ description: '`version` of the workflow that was read before.', example: 1 }),
    ...content,
  })
  .meta({
    id: 'ReplaceWorkflow',
    description: 'The whole workflow. A changed definition is a new revision, which the next execution applies.',
    example: { version: 1, ...EXAMPLE },
  });
export type ReplaceWorkflow = z.infer<typeof ReplaceWorkflow>;

export const ListWorkflowsQuery = z.strictObject({
  ...pageQuery,
  name: repeated(z.string().max(63)).optional().meta({ description: 'Only these names; may be repeated.' }),
  clusterId: repeated(objectId).optional().meta({ description: 'Only those of these clusters; may be repeated.' }),
  namespace: repeated(z.string().max(63)).optional().meta({ description: 'Only these namespaces; may be repeated.' }),
  state: repeated(z.enum(WORKFLOW_STATES)).optional().meta({ description: 'Only these states; may be repeated.' }),
  health: repeated(z.enum(HEALTHS)).optional().meta({
    description: 'Only those with this health; may be repeated. A page may then be short and yet have a nextCursor.',
  }),
  labelSelector: labelSelectorQuery.meta({ description: 'As in kubectl.', example: 'team in (web, mobile)' }),
});
export type ListWorkflowsQuery = z.infer<typeof ListWorkflowsQuery>;

export const DeleteWorkflowQuery = z.strictObject({
  resources: z.literal('abandon').optional().meta({
    description: 'Forget the objects that the workflow still has; they stay in the cluster.',
  }),
});

/** A query parameter that may be given once or many times. */
function repeated<T extends z.ZodType>(item: T) {
  return z.union([item.transform((one) => [one]), z.array(item).max(100)]);
}
