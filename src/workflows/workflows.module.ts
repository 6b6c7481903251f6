import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { ClusterHealthModule } from '../cluster-health/index.js';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { WatchersModule } from '../watchers/index.js';
import { ApplyNode } from './execution/apply-node.js';
import { ArchiveRun } from './execution/archive-run.js';
import { AttemptsFactory } from './execution/attempts.js';
import { DeleteNode } from './execution/delete-node.js';
import { ExecuteRun } from './execution/execute-run.js';
import { GoneWait } from './execution/gone-wait.js';
import { HealthWait } from './execution/health-wait.js';
import { RunExecutor } from './execution/run-executor.js';
import { inventoryEntrySchema } from './inventory/inventory-entry.schema.js';
import { InventoryRepository } from './inventory/inventory.repository.js';
import { runSchema } from './runs/run.schema.js';
import { RunsRepository } from './runs/runs.repository.js';
import { RunsController } from './runs.controller.js';
import { RunStreamTopic } from './run-stream-topic.js';
import { RunsMetrics } from './runs.metrics.js';
import { RunsService } from './runs.service.js';
import { DryRunValidator } from './validation/dry-run-validator.js';
import { NamespacesValidator } from './validation/namespaces-validator.js';
import { OwnershipValidator } from './validation/ownership-validator.js';
import { ReachabilityValidator } from './validation/reachability-validator.js';
import { RightsValidator } from './validation/rights-validator.js';
import { SchemaValidator } from './validation/schema-validator.js';
import { ValidationController } from './validation/validation.controller.js';
import { ValidatorResponders } from './validation/validator-responders.js';
import { WorkflowValidation } from './validation/workflow-validation.js';
import { WorkflowClusterUsage } from './workflow-cluster-usage.js';
import { WorkflowList } from './workflow-list.js';
import { WorkflowRemoval } from './workflow-removal.js';
import { WorkflowSecrets } from './workflow-secrets.js';
import { WorkflowStatuses } from './workflow-statuses.js';
import { WorkflowStreamTopic } from './workflow-stream-topic.js';
import { workflowSchema } from './workflow.schema.js';
import { WorkflowsController } from './workflows.controller.js';
import { WorkflowsMetrics } from './workflows.metrics.js';
import { WorkflowsRepository } from './workflows.repository.js';
import { WorkflowsService } from './workflows.service.js';

/** Definitions of workflows and their runs, who owns which object, and their way into streams and metrics. */
@Module({
  imports: [
    MongooseModule.forFeature([
      { name: 'Workflow', schema: workflowSchema },
      { name: 'InventoryEntry', schema: inventoryEntrySchema },
      { name: 'Run', schema: runSchema },
    ]),
    ClusterHealthModule,
    WatchersModule,
  ],
  controllers: [WorkflowsController, RunsController, ValidationController],
  providers: [
    ApplyNode,
    ArchiveRun,
    AttemptsFactory,
    DeleteNode,
    DryRunValidator,
    ExecuteRun,
    GoneWait,
    HealthWait,
    InventoryRepository,
    NamespacesValidator,
    OwnershipValidator,
    ReachabilityValidator,
    RightsValidator,
    RunExecutor,
    RunStreamTopic,
    RunsMetrics,
    RunsRepository,
    RunsService,
    SchemaValidator,
    ValidatorResponders,
    WorkflowClusterUsage,
    WorkflowList,
    WorkflowRemoval,
    WorkflowSecrets,
    WorkflowStatuses,
    WorkflowStreamTopic,
    WorkflowValidation,
    WorkflowsMetrics,
    WorkflowsRepository,
    WorkflowsService,
  ],
  exports: [WorkflowsService],
})
export class WorkflowsModule {
  constructor(lifecycle: LifecycleRegistry, removal: WorkflowRemoval, executor: RunExecutor) {
    lifecycle.register('executor', removal);
    lifecycle.register('executor', executor);
  }
}
