import { z } from 'zod';
import {
  type Capabilities,
  type Graph,
  GraphNodeTypeSchema,
  type WorkflowDefinition,
} from '../gen/flowwatch/v1/types_pb.js';
import { countedPageSchema, told } from './answer-view.js';
import { gatewayPageQuery } from './gateway-query.js';
import { offered, offeredSchemas } from './offered.js';
import { owner } from './run-view.js';
import { textOf, textSchema, timeOf, timeSchema } from './wire-values.js';
import { wordOf, wordSchema } from './wire-words.js';

export const ListGatewayWorkflowsQuery = z.strictObject(gatewayPageQuery);
export type ListGatewayWorkflowsQuery = z.infer<typeof ListGatewayWorkflowsQuery>;

export const GatewayWorkflow = z
  .object({
    id: z.string().meta({
      description: '`<subsystem>~<id>`, each percent-encoded, where more than one subsystem has a workflow of this id.',
    }),
    name: z.string(),
    subsystemId: owner,
    domain: textSchema.meta({ description: 'What the workflow itself says of where it belongs.' }),
    engine: textSchema,
    version: textSchema,
    createdAt: timeSchema,
    metadata: z.record(z.string(), z.string()),
  })
  .meta({ id: 'GatewayWorkflow' });
export type GatewayWorkflow = z.infer<typeof GatewayWorkflow>;

export const GatewayWorkflowAnswer = GatewayWorkflow.extend(told).meta({ id: 'GatewayWorkflowAnswer' });
export const GatewayWorkflowPage = countedPageSchema(GatewayWorkflow, 'GatewayWorkflowPage');

export function workflowView(workflow: WorkflowDefinition, subsystemId: string | null): GatewayWorkflow {
  return {
    id: workflow.id,
    name: workflow.name,
    subsystemId,
    domain: textOf(workflow.subsystemId),
    engine: textOf(workflow.engine),
    version: textOf(workflow.version),
    createdAt: timeOf(workflow.createdAt),
    metadata: workflow.metadata,
  };
}

export const GatewayGraph = z
  .object({
    workflowId: z.string(),
    nodes: z.array(
      z.object({
        id: z.string(),
        label: z.string(),
        type: wordSchema(GraphNodeTypeSchema),
        metadata: z.record(z.string(), z.string()),
      }),
    ),
    edges: z.array(z.object({ source: z.string(), target: z.string(), label: textSchema })),
    ...told,
  })
  .meta({ id: 'GatewayGraph' });
export type GatewayGraph = z.infer<typeof GatewayGraph>;

export function graphView({ workflowId, nodes, edges }: Graph): Omit<GatewayGraph, keyof typeof told> {
  return {
    workflowId,
    nodes: nodes.map(({ id, label, type, metadata }) => ({
      id,
      label,
      type: wordOf(GraphNodeTypeSchema, type),
      metadata,
    })),
    edges: edges.map(({ sourceId, targetId, label }) => ({ source: sourceId, target: targetId, label: textOf(label) })),
  };
}

const days = z.int().nullable().meta({ description: 'Null if it is not told.' });

const capabilities = z.object({
  ...offeredSchemas,
  search: z
    .object({
      engine: textSchema,
      scopes: z.array(z.string()),
      queryLanguage: offered,
      maxResults: z.int().nullable(),
      payloadIndexed: offered,
      logIndexed: offered,
      logRetentionDays: days,
      payloadRetentionDays: days,
    })
    .nullable()
    .meta({ description: 'Null if it is not offered.' }),
});

export const GatewayCapabilities = capabilities
  .extend({
    bySubsystem: z.array(
      z.object({
        subsystemId: z.string(),
        capabilities: capabilities.nullable().meta({ description: 'Null if it has not said yet.' }),
      }),
    ),
    ...told,
  })
  .meta({ id: 'GatewayCapabilities', description: 'What any of them offers, and who offers what.' });
export type GatewayCapabilities = z.infer<typeof GatewayCapabilities>;

export function capabilitiesView(offers: Capabilities): z.infer<typeof capabilities> {
  const { retryRun, retryFromStep, cancelRun, pauseRun, resumeRun, skipStep, streaming, analytics, search } = offers;
  return {
    retryRun,
    retryFromStep,
    cancelRun,
    pauseRun,
    resumeRun,
    skipStep,
    streaming,
    analytics,
    search: search?.enabled
      ? {
          engine: textOf(search.engine),
          scopes: search.scopes,
          queryLanguage: search.queryLanguage,
          maxResults: search.maxResults || null,
          payloadIndexed: search.payloadIndexed,
          logIndexed: search.logIndexed,
          logRetentionDays: search.logRetentionDays || null,
          payloadRetentionDays: search.payloadRetentionDays || null,
        }
      : null,
  };
}
