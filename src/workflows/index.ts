export type { RunChanged } from './run-events.js';
export type { WorkflowRemoved } from './workflow-events.js';
export {
  type Manifest,
  NODE_OUTCOMES,
  type NodeOutcome,
  RUN_STATES,
  type Run,
  type RunNode,
  type RunState,
  type RunSummary,
  type StoredWorkflow,
  WORKFLOW_STATES,
  type Workflow,
  type WorkflowDefinition,
  type WorkflowEdge,
  type WorkflowNode,
  type WorkflowState,
  type WorkflowSummary,
} from './workflow.js';
export { WorkflowsModule } from './workflows.module.js';
export { WorkflowsService } from './workflows.service.js';
