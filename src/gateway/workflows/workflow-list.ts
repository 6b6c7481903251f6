import { Inject, Injectable } from '@nestjs/common';
import { Code, ConnectError } from '@connectrpc/connect';
import { create } from '@bufbuild/protobuf';
import { type Clock, CLOCK } from '../../runtime/clock.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import type { WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import {
  type ListWorkflowsRequest,
  type ListWorkflowsResponse,
  ListWorkflowsResponseSchema,
} from '../gen/flowwatch/v1/workflow_service_pb.js';
import { type OfferedWorkflows, readWorkflows } from '../registry/call-back.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { Answer, SubsystemFailure } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { fanOut } from '../routing/fan-out.js';
import { pageLimit } from '../routing/limits.js';
import { shownId } from '../routing/shown-id.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { type ListedWorkflow, sharedWorkflowIds, workflowPage } from './merge-workflows.js';
import { decodeWorkflowCursor, encodeWorkflowCursor } from './workflow-cursor.js';

/**
 * The workflows of all subsystems as one list, by name. Each is asked for all of its own every time: FlowWatch gives
 * definitions in no order that could be asked for, so a page can only be cut from all of them, and they are few.
 */
@Injectable()
export class WorkflowList {
  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    private readonly owners: WorkflowOwners,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(gatewayConfig.token) private readonly config: Pick<GatewayConfig, 'callTimeoutMs'>,
  ) {}

  /** A subsystem with more than are read is named as `oversized`; its first ones are listed. */
  async listWorkflows(caller: Caller, { pagination }: ListWorkflowsRequest): Promise<Answer<ListWorkflowsResponse>> {
    const limit = pageLimit(pagination?.limit);
    const after = pagination?.cursor ? decodeWorkflowCursor(pagination.cursor) : undefined;
    const subsystems = this.directory.list(caller.principal);
    const asked = await fanOut(caller, subsystems, (subsystem, asking) => this.workflowsOf(asking, subsystem));
    const listed = asked.answers.flatMap(({ subsystem, answer }) =>
      answer.workflows.map((workflow): ListedWorkflow => ({ subsystem, workflow })),
    );
    const { items, upTo } = workflowPage(listed, after, limit);
    const value = create(ListWorkflowsResponseSchema, {
      workflows: this.shown(caller, items, sharedWorkflowIds(listed)),
      pagination: { nextCursor: upTo ? encodeWorkflowCursor(upTo) : '', totalCount: listed.length },
    });
    const cut = asked.answers
      .filter(({ answer }) => answer.isCut)
      .map(({ subsystem }): SubsystemFailure => ({ subsystemId: subsystem.id, reason: 'oversized' }));
    return { value, failures: [...asked.failures, ...cut], notes: [] };
  }

  /** All pages, within the time that one call may take. @throws ConnectError as the connection does. */
  async workflowsOf(caller: Caller, { connection }: Subsystem): Promise<OfferedWorkflows> {
    const deadline = new AbortController();
    const timer = this.clock.after(this.config.callTimeoutMs, () =>
      deadline.abort(new ConnectError('the subsystem did not list its workflows in time', Code.DeadlineExceeded)),
    );
    const signal = AbortSignal.any([caller.signal, deadline.signal]);
    try {
      return await readWorkflows(connection, { ...callOptions(caller), signal });
    } finally {
      timer.cancel();
    }
  }

  /** Their ids qualified where they are ambiguous. */
  shown(
    { principal }: Caller,
    listed: readonly ListedWorkflow[],
    shared: ReadonlySet<string> = sharedWorkflowIds(listed),
  ): WorkflowDefinition[] {
    return listed.map(({ subsystem, workflow }) => {
      const isAmbiguous = shared.has(workflow.id) || this.owners.isAmbiguous(workflow.id, principal);
      return { ...workflow, id: shownId({ subsystem, qualified: false }, workflow.id, isAmbiguous) };
    });
  }
}
