import { z } from 'zod';
import { pageSchema } from '../http/page.js';
import { HEALTHS } from '../watchers/resource.js';
import { RUN_STATES, WORKFLOW_STATES } from './workflow.js';

const time = z.iso.datetime();

export const RunSummaryAnswer = z
  .object({
    id: z.string(),
    kind: z.enum(['execute', 'archive']),
    state: z.enum(RUN_STATES),
    startedAt: time,
    endedAt: time.nullable(),
  })
  .meta({ id: 'RunSummary' });

const shared = {
  id: z.string(),
  tenantId: z.string(),
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  clusterId: z.string(),
  namespace: z.string(),
  onFailure: z.enum(['stop', 'continue']),
  state: z.enum(WORKFLOW_STATES).meta({ description: 'Of an archived workflow nothing is watched any more.' }),
  revision: z.int().meta({ description: 'Grows with each change of the definition.' }),
  version: z.int().meta({ description: 'Grows with each change. PUT carries it.' }),
  health: z
    .enum(HEALTHS)
    .nullable()
    .meta({ description: 'The worst health of its resources; null before the first execution.' }),
  since: time.nullable().meta({ description: 'When that health began.' }),
  counts: z
    .partialRecord(z.enum(HEALTHS), z.int())
    .meta({ description: 'Resources by health, only those above zero.' }),
  lastRun: RunSummaryAnswer.nullable(),
  createdAt: time,
  createdBy: z.string(),
  updatedAt: time,
};

export const WorkflowAnswer = z
  .object({
    ...shared,
    nodes: z.array(
      z.object({
        id: z.string(),
        manifest: z.record(z.string(), z.unknown()).meta({ description: 'Values of a Secret are "[sealed]".' }),
        timeoutMs: z.int(),
      }),
    ),
    edges: z.array(z.object({ source: z.string(), target: z.string(), waitFor: z.enum(['applied', 'healthy']) })),
  })
  .meta({ id: 'Workflow' });

export const WorkflowSummaryAnswer = z
  .object({ ...shared, nodeCount: z.int() })
  .meta({ id: 'WorkflowSummary', description: 'A workflow without its nodes and edges.' });

export const WorkflowPage = pageSchema(WorkflowSummaryAnswer, 'WorkflowPage');
