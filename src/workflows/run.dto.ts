import { z } from 'zod';
import { pageQuery, pageSchema } from '../http/page.js';
import { NODE_OUTCOMES } from './workflow.js';
import { RunSummaryAnswer } from './workflow-answer.dto.js';

const time = z.iso.datetime();

const RunNodeAnswer = z
  .object({
    nodeId: z.string(),
    outcome: z.enum(NODE_OUTCOMES).meta({
      description:
        'pending, applying, waiting and deleting are on their way; created, configured and unchanged are applied; ' +
        '`exists`: the object belongs to somebody else; `conflict`: another field manager owns a field; `immutable`: ' +
        'Kubernetes does not let a field change; `timed-out`: applied, but not healthy in time; `kept`: not ours to ' +
        'delete; `remains`: told to go and still there.',
    }),
    reason: z.string().nullable(),
    message: z.string().nullable().meta({ description: 'What happened and what to do.' }),
    fields: z.array(z.string()).meta({ description: 'Wrong or contested fields.', example: ['.spec.replicas'] }),
    managers: z.array(z.string()).meta({ description: 'Whoever is in the way: field managers, owners, finalizers.' }),
    startedAt: time.nullable(),
    endedAt: time.nullable(),
  })
  .meta({ id: 'RunNode' });

export const RunAnswer = RunSummaryAnswer.extend({
  tenantId: z.string(),
  workflowId: z.string(),
  revision: z.int().meta({ description: 'Revision of the workflow that the run works on.' }),
  nodes: z.array(RunNodeAnswer),
  message: z.string().nullable(),
  version: z.int().meta({ description: 'Grows with each change.' }),
  createdBy: z.string(),
}).meta({ id: 'Run' });

export const RunPage = pageSchema(RunAnswer, 'RunPage');

export const ListRunsQuery = z.strictObject({ ...pageQuery });
export type ListRunsQuery = z.infer<typeof ListRunsQuery>;

const resources = z.enum(['delete', 'keep']).meta({
  description: '`delete`: remove the objects that the workflow created; `keep`: leave them in the cluster.',
  example: 'delete',
});

/** The same as query or as body. */
export const ArchiveWorkflowQuery = z.strictObject({ resources: resources.optional() });
export type ArchiveWorkflowQuery = z.infer<typeof ArchiveWorkflowQuery>;

export const ArchiveWorkflow = z
  .strictObject({ resources: resources.default('keep') })
  .meta({ id: 'ArchiveWorkflow', example: { resources: 'delete' } });
export type ArchiveWorkflow = z.infer<typeof ArchiveWorkflow>;
