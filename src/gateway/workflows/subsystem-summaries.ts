import { Inject, Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  type GetSubsystemRequest,
  type GetSubsystemResponse,
  GetSubsystemResponseSchema,
  type ListSubsystemsResponse,
  ListSubsystemsResponseSchema,
  type SubsystemSummary,
  SubsystemSummarySchema,
  WorkflowService,
} from '../gen/flowwatch/v1/workflow_service_pb.js';
import type { WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import {
  type Answer,
  type AnswerNote,
  type FailureReason,
  type SubsystemFailure,
  wholeAnswer,
} from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { type Ask, type Outcome, fanOut, outcomeOfError, outcomesOf } from '../routing/fan-out.js';
import { requireId } from '../routing/limits.js';
import { nobodyHas, requireConnected } from '../routing/owner-error.js';
import { formatQualifiedId, parseQualifiedId } from '../routing/qualified-id.js';
import { sumSummaries } from './merge-summaries.js';
import type { ListedWorkflow } from './merge-workflows.js';
import { WorkflowList } from './workflow-list.js';

interface Summarized {
  readonly summary: SubsystemSummary;
  readonly isApproximate: boolean;
  readonly failure: FailureReason | undefined;
}

/** Who is registered, each with the figures that it tells of itself, added up over its business domains. */
@Injectable()
export class SubsystemSummaries {
  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    private readonly workflowList: WorkflowList,
  ) {}

  /** All that are registered, whatever their state: one without figures is named among the failures. */
  async list(caller: Caller): Promise<Answer<ListSubsystemsResponse>> {
    const subsystems = this.directory.list(caller.principal);
    const outcomes = await outcomesOf(caller, subsystems, readOwnFigures);
    const all = subsystems.map((subsystem, index) => summarized(subsystem, outcomes[index]));
    const value = create(ListSubsystemsResponseSchema, { subsystems: all.map(({ summary }) => summary) });
    return {
      value,
      failures: subsystems.flatMap(({ id }, index) => failureOf(id, all[index]?.failure)),
      notes: approximate(all.some(({ isApproximate }) => isApproximate)),
    };
  }

  /**
   * By the id it is registered under; by `<gateway>~<id>` one behind a gateway behind us; else a business domain, of
   * whatever subsystems have it.
   *
   * @throws ConnectError `not_found`, `unavailable` if those that did not answer may have it.
   */
  async get(caller: Caller, { subsystemId }: GetSubsystemRequest): Promise<Answer<GetSubsystemResponse>> {
    const id = requireId(subsystemId, 'subsystem_id');
    const registered = this.directory.find(caller.principal, id);
    if (registered) return this.getRegistered(caller, registered);
    const parts = parseQualifiedId(id);
    const gateway = parts && this.directory.find(caller.principal, parts.subsystemId);
    return gateway ? this.getBehind(caller, gateway, parts.id) : this.getDomain(caller, id);
  }

  private async getRegistered(caller: Caller, subsystem: Subsystem): Promise<Answer<GetSubsystemResponse>> {
    const [{ summary, isApproximate, failure }, workflows] = await Promise.all([
      attempt(caller, subsystem, readOwnFigures).then((outcome) => summarized(subsystem, outcome)),
      this.workflowsOf(caller, subsystem),
    ]);
    const listed = workflows.value.map((workflow): ListedWorkflow => ({ subsystem, workflow }));
    const value = create(GetSubsystemResponseSchema, {
      subsystem: summary,
      workflows: this.workflowList.shown(caller, listed),
    });
    return {
      value,
      failures: failureOf(subsystem.id, failure ?? workflows.failure),
      notes: approximate(isApproximate),
    };
  }

  private async getBehind(caller: Caller, gateway: Subsystem, id: string): Promise<Answer<GetSubsystemResponse>> {
    const { connection } = requireConnected(gateway);
    const answer = await connection.read(WorkflowService.method.getSubsystem, { subsystemId: id }, callOptions(caller));
    const shownAs = formatQualifiedId({ subsystemId: gateway.id, id });
    return wholeAnswer({
      ...answer,
      subsystem: answer.subsystem && withId(answer.subsystem, shownAs),
      workflows: this.workflowList.shown(caller, listedOf(gateway, answer)),
    });
  }

  private async getDomain(caller: Caller, id: string): Promise<Answer<GetSubsystemResponse>> {
    const method = WorkflowService.method.getSubsystem;
    const ask = async ({ connection }: Subsystem, asking: Caller): Promise<GetSubsystemResponse | undefined> =>
      connection.read(method, { subsystemId: id }, callOptions(asking)).catch(undefinedIfNotFound);
    const { answers, failures } = await fanOut(caller, this.directory.list(caller.principal), ask);
    const found = answers.flatMap(({ subsystem, answer }) => (answer?.subsystem ? [{ subsystem, answer }] : []));
    const summaries = found.flatMap(({ answer }) => answer.subsystem ?? []);
    const [first] = summaries;
    if (!first) throw nobodyHas('subsystem', id, failures);
    const { counts, isApproximate } = sumSummaries(summaries);
    const listed = found.flatMap(({ subsystem, answer }) => listedOf(subsystem, answer));
    const value = create(GetSubsystemResponseSchema, {
      subsystem: withId({ ...first, ...counts }, id),
      workflows: this.workflowList.shown(caller, listed),
    });
    return { value, failures, notes: approximate(isApproximate) };
  }

  private async workflowsOf(
    caller: Caller,
    subsystem: Subsystem,
  ): Promise<{ value: readonly WorkflowDefinition[]; failure: FailureReason | undefined }> {
    const asked = await attempt(caller, subsystem, () => this.workflowList.workflowsOf(caller, subsystem));
    if ('answer' in asked) {
      const { workflows, isCut } = asked.answer;
      return { value: workflows, failure: isCut ? 'oversized' : undefined };
    }
    const failure = 'failure' in asked ? asked.failure.reason : undefined;
    return { value: subsystem.workflows, failure };
  }
}

function readOwnFigures({ connection }: Subsystem, asking: Caller): Promise<ListSubsystemsResponse> {
  return connection.read(WorkflowService.method.listSubsystems, {}, callOptions(asking));
}

/** Without figures of its own it has as many workflows as it last listed. */
function summarized(subsystem: Subsystem, outcome: Outcome<ListSubsystemsResponse> | undefined): Summarized {
  const told = outcome && 'answer' in outcome ? outcome.answer.subsystems : [];
  const { counts, isApproximate } = sumSummaries(told);
  const { id, name, description, metadata, registeredAt, workflows } = subsystem;
  const summary = create(SubsystemSummarySchema, {
    ...counts,
    workflowCount: counts.workflowCount > 0 ? counts.workflowCount : workflows.length,
    subsystem: { id, name, description, metadata, createdAt: timestampFromMs(registeredAt) },
  });
  const failure = outcome && 'failure' in outcome ? outcome.failure.reason : undefined;
  return { summary, isApproximate, failure };
}

/** One alone, however slow it was. @throws ConnectError of the caller's abort alone. */
async function attempt<T>(caller: Caller, subsystem: Subsystem, ask: Ask<T>): Promise<Outcome<T>> {
  const { id: subsystemId, state } = subsystem;
  if (state !== 'connected') return { failure: { subsystemId, reason: state } };
  try {
    return { subsystem, answer: await ask(subsystem, caller) };
  } catch (error) {
    if (caller.signal.aborted) throw ConnectError.from(caller.signal.reason, Code.Canceled);
    return outcomeOfError(subsystem, error);
  }
}

function undefinedIfNotFound(error: unknown): undefined {
  if (ConnectError.from(error).code !== Code.NotFound) throw error;
}

function withId(summary: SubsystemSummary, id: string): SubsystemSummary {
  return { ...summary, subsystem: summary.subsystem && { ...summary.subsystem, id } };
}

function listedOf(subsystem: Subsystem, { workflows }: GetSubsystemResponse): readonly ListedWorkflow[] {
  return workflows.map((workflow) => ({ subsystem, workflow }));
}

function failureOf(subsystemId: string, reason: FailureReason | undefined): readonly SubsystemFailure[] {
  return reason === undefined ? [] : [{ subsystemId, reason }];
}

function approximate(isApproximate: boolean): readonly AnswerNote[] {
  return isApproximate ? ['approximate'] : [];
}
