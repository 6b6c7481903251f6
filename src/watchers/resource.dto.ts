import { z } from 'zod';
import { objectId, pageQuery, pageSchema } from '../http/index.js';
import { KINDS, findKindByAlias } from '../kubernetes/index.js';
import { FRESHNESSES, HEALTHS, ROLLOUTS } from './resource.js';

const time = z.iso.datetime();
const health = z.enum(HEALTHS);

const KindFilter = z
  .string()
  .max(63)
  .transform((text, context) => {
    const definition = findKindByAlias(text);
    if (definition) return definition.kind;
    const known = KINDS.map(({ kind }) => kind).join(', ');
    context.addIssue({
      code: 'custom',
      message: `is not one of ${known}, nor a short name of kubectl for one of them`,
    });
    return z.NEVER;
  });

export const ListResourcesQuery = z.strictObject({
  ...pageQuery,
  workflowId: repeated(objectId).meta({ description: 'Of these workflows; may be repeated.' }),
  clusterId: repeated(objectId).meta({ description: 'In these clusters; may be repeated.' }),
  kind: repeated(KindFilter).meta({
    description: "Of these kinds, as Kubernetes writes them or by kubectl's short names; may be repeated.",
    example: ['deploy'],
  }),
  namespace: repeated(z.string().max(63)).meta({ description: 'In these namespaces; may be repeated.' }),
  health: repeated(health).meta({ description: 'With this health as it is shown; may be repeated.' }),
  freshness: repeated(z.enum(FRESHNESSES)).meta({ description: 'With this freshness; may be repeated.' }),
});

export const ResourceHistoryQuery = z.strictObject(pageQuery);

const Child = z
  .object({
    kind: z.string(),
    name: z.string(),
    uid: z.string(),
    health,
    reason: z.string().nullable(),
    message: z.string().nullable(),
  })
  .meta({ id: 'ResourceChild' });

export const ResourceAnswer = z
  .object({
    id: z.string().meta({ description: 'Belongs to (workflow, node) and survives re-creation of the object.' }),
    tenantId: z.string(),
    workflowId: z.string(),
    nodeId: z.string(),
    clusterId: z.string(),
    uid: z.string().nullable().meta({ description: 'Of the object; null before its creation and after its end.' }),
    apiVersion: z.string(),
    kind: z.string(),
    namespace: z.string(),
    name: z.string(),
    health: health.meta({
      description:
        '`deleted` is gone by us, `missing` gone without us. While `freshness` is not `live`, a last known `healthy` or ' +
        '`completed` is shown as `unknown` with the reason `Stale`.',
    }),
    rollout: z.enum(ROLLOUTS).nullable().meta({ description: 'Null for kinds that do not roll out.' }),
    reason: z.string().nullable(),
    message: z.string().nullable(),
    since: time.meta({ description: 'When it came into this health.' }),
    previous: health.nullable().meta({ description: 'The health before.' }),
    freshness: z
      .enum(FRESHNESSES)
      .meta({ description: '`live`: watched; `syncing`: being listed; `stale`: the cluster is not heard.' }),
    details: z.record(z.string(), z.unknown()).meta({ description: 'Per kind.' }),
    children: z.array(Child).meta({ description: 'Owned objects, unhealthy ones first, at most 20.' }),
    version: z.int().meta({ description: 'Grows by one with every stored change.' }),
    updatedAt: time,
  })
  .meta({ id: 'Resource', description: 'The object of one workflow node.' });

export const ResourcePage = pageSchema(ResourceAnswer, 'ResourcePage');

export const ResourceHistoryEntry = z
  .object({
    id: z.string(),
    at: time,
    uid: z.string().nullable(),
    health,
    previous: health.nullable(),
    rollout: z.enum(ROLLOUTS).nullable(),
    reason: z.string().nullable().meta({ description: '`Recreated`: another object has taken the name.' }),
    message: z.string().nullable(),
    version: z.int().meta({ description: "The resource's version that brought the change." }),
  })
  .meta({ id: 'ResourceHistoryEntry', description: 'A change of health, rollout or reason.' });
export type ResourceHistoryEntry = z.infer<typeof ResourceHistoryEntry>;

export const ResourceHistoryPage = pageSchema(ResourceHistoryEntry, 'ResourceHistoryPage');

/** A query parameter that may be given several times. */
function repeated<T extends z.ZodType>(item: T) {
  return z
    .preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), z.array(item).max(100))
    .optional();
}
