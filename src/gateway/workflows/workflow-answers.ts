import { Inject, Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Scope } from '../../auth/principal.js';
import { type Capabilities, CapabilitiesSchema } from '../gen/flowwatch/v1/types_pb.js';
import {
  type GetCapabilitiesRequest,
  type GetCapabilitiesResponse,
  GetCapabilitiesResponseSchema,
  type GetGraphRequest,
  type GetGraphResponse,
  type GetSubsystemRequest,
  type GetSubsystemResponse,
  type GetTraceRequest,
  type GetTraceResponse,
  GetTraceResponseSchema,
  type GetWorkflowRequest,
  type GetWorkflowResponse,
  type ListSubsystemsRequest,
  type ListSubsystemsResponse,
  type ListWorkflowsRequest,
  type ListWorkflowsResponse,
  type TraceSpan,
  WorkflowService,
} from '../gen/flowwatch/v1/workflow_service_pb.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import { type Answer, type Answers, wholeAnswer } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { allFailed, fanOut, outcomesOf } from '../routing/fan-out.js';
import { requireId } from '../routing/limits.js';
import { nobodyHas } from '../routing/owner-error.js';
import { RUN_OWNERS, type RunOwners } from '../routing/run-owners.js';
import { shownId } from '../routing/shown-id.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { uniteCapabilities } from './merge-capabilities.js';
import { mergeTrace } from './merge-trace.js';
import { SubsystemSummaries } from './subsystem-summaries.js';
import { WorkflowList } from './workflow-list.js';

export interface OfferedCapabilities {
  readonly subsystemId: string;
  /** undefined if it has not said yet. */
  readonly capabilities: Capabilities | undefined;
}

@Injectable()
export class WorkflowAnswers implements Answers<typeof WorkflowService> {
  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    private readonly owners: WorkflowOwners,
    @Inject(RUN_OWNERS) private readonly runOwners: RunOwners,
    private readonly list: WorkflowList,
    private readonly summaries: SubsystemSummaries,
  ) {}

  listWorkflows(caller: Caller, request: ListWorkflowsRequest): Promise<Answer<ListWorkflowsResponse>> {
    return this.list.listWorkflows(caller, request);
  }

  async getWorkflow(caller: Caller, { workflowId }: GetWorkflowRequest): Promise<Answer<GetWorkflowResponse>> {
    const owned = await this.owners.find(caller, requireId(workflowId, 'workflow_id'));
    const { connection } = owned.subsystem;
    const input = { workflowId: owned.workflowId };
    const answer = await connection.read(WorkflowService.method.getWorkflow, input, callOptions(caller));
    const { workflow } = answer;
    if (!workflow) throw nobodyHas('workflow', workflowId, []);
    return wholeAnswer({ ...answer, workflow: { ...workflow, id: shownId(owned, workflow.id, false) } });
  }

  async getGraph(caller: Caller, { workflowId }: GetGraphRequest): Promise<Answer<GetGraphResponse>> {
    const owned = await this.owners.find(caller, requireId(workflowId, 'workflow_id'));
    const { connection } = owned.subsystem;
    const input = { workflowId: owned.workflowId };
    const answer = await connection.read(WorkflowService.method.getGraph, input, callOptions(caller));
    const { graph } = answer;
    // Some engines have none of a workflow that they have.
    if (!graph) return wholeAnswer(answer);
    return wholeAnswer({ ...answer, graph: { ...graph, workflowId: shownId(owned, graph.workflowId, false) } });
  }

  /** From what each said at its last call-back; one that has not said is asked. */
  async getCapabilities(caller: Caller, _request?: GetCapabilitiesRequest): Promise<Answer<GetCapabilitiesResponse>> {
    const isTold = ({ capabilities, state }: Subsystem): boolean => capabilities !== undefined && state === 'connected';
    const all = this.directory.list(caller.principal);
    const told = all.filter(isTold).flatMap(({ capabilities }) => capabilities ?? []);
    const asked = await outcomesOf(
      caller,
      all.filter((subsystem) => !isTold(subsystem)),
      async ({ connection }, asking) => {
        const answer = await connection.read(WorkflowService.method.getCapabilities, {}, callOptions(asking));
        return answer.capabilities ?? create(CapabilitiesSchema);
      },
    );
    const answered = asked.flatMap((outcome) => ('answer' in outcome ? [outcome.answer] : []));
    const failures = asked.flatMap((outcome) => ('failure' in outcome ? [outcome.failure] : []));
    if (told.length + answered.length === 0 && failures.length > 0) throw allFailed(failures);
    const capabilities = uniteCapabilities([...told, ...answered]);
    return { value: create(GetCapabilitiesResponseSchema, { capabilities }), failures, notes: [] };
  }

  /** Who offers what, of the connected ones. */
  capabilitiesBySubsystem(scope: Scope): readonly OfferedCapabilities[] {
    const connected = this.directory.list(scope).filter(({ state }) => state === 'connected');
    return connected.map(({ id, capabilities }) => ({ subsystemId: id, capabilities }));
  }

  listSubsystems(caller: Caller, _request?: ListSubsystemsRequest): Promise<Answer<ListSubsystemsResponse>> {
    return this.summaries.list(caller);
  }

  getSubsystem(caller: Caller, request: GetSubsystemRequest): Promise<Answer<GetSubsystemResponse>> {
    return this.summaries.get(caller, request);
  }

  async getTrace(caller: Caller, { traceId }: GetTraceRequest): Promise<Answer<GetTraceResponse>> {
    const input = { traceId: requireId(traceId, 'trace_id') };
    const ask = ({ connection }: Subsystem, asking: Caller): Promise<GetTraceResponse | undefined> =>
      connection.read(WorkflowService.method.getTrace, input, callOptions(asking)).catch(undefinedIfNotFound);
    const { answers, failures } = await fanOut(caller, this.directory.list(caller.principal), ask);
    const found = answers.map(({ subsystem, answer }) => ({ subsystem, spans: answer?.spans ?? [] }));
    for (const { subsystem, spans } of found) {
      for (const { run } of spans) if (run && run.id !== '') this.runOwners.seen(subsystem, run.id);
    }
    if (found.every(({ spans }) => spans.length === 0)) throw nobodyHas('trace', traceId, failures);
    const parts = found.map(({ subsystem, spans }) => ({
      subsystemId: subsystem.id,
      spans: spans.map((span) => this.shownSpan(caller, subsystem, span)),
    }));
    return { value: create(GetTraceResponseSchema, { traceId, ...mergeTrace(parts) }), failures, notes: [] };
  }

  private shownSpan({ principal }: Caller, subsystem: Subsystem, span: TraceSpan): TraceSpan {
    const owned = { subsystem, qualified: false };
    const runId = (id: string): string => shownId(owned, id, id !== '' && this.runOwners.isAmbiguous(id, principal));
    const workflowId = (id: string): string => shownId(owned, id, id !== '' && this.owners.isAmbiguous(id, principal));
    return {
      ...span,
      run: span.run && { ...span.run, id: runId(span.run.id), workflowId: workflowId(span.run.workflowId) },
      steps: span.steps.map((step) => ({ ...step, runId: runId(step.runId) })),
    };
  }
}

function undefinedIfNotFound(error: unknown): undefined {
  if (ConnectError.from(error).code !== Code.NotFound) throw error;
}
