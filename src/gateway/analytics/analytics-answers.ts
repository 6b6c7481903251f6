import { Inject, Injectable } from '@nestjs/common';
import {
  type AnalyticsFilter,
  AnalyticsService,
  type GetFailureRateRequest,
  type GetFailureRateResponse,
  type GetLatencyRequest,
  type GetLatencyResponse,
  type GetStepDurationRequest,
  type GetStepDurationResponse,
  type GetStepHeatmapRequest,
  type GetStepHeatmapResponse,
  type GetThroughputRequest,
  type GetThroughputResponse,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { Answer, Answers, SubsystemFailure } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { fanOut } from '../routing/fan-out.js';
import { selectSubsystems } from '../routing/subsystem-selection.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { mergeFailureRate } from './merge-failure-rate.js';
import { mergeLatency } from './merge-latency.js';
import { mergeStepDuration } from './merge-step-duration.js';
import { mergeStepHeatmap } from './merge-step-heatmap.js';
import { mergeThroughput } from './merge-throughput.js';

/** What a filter asks for: whom, and what of it is passed on to them. */
interface Question {
  readonly subsystem: Subsystem;
  readonly workflowId: string;
  readonly subsystemId: string;
}

interface Parts<T> {
  readonly parts: readonly T[];
  readonly failures: readonly SubsystemFailure[];
}

/** Figures over the runs of all subsystems. */
@Injectable()
export class AnalyticsAnswers implements Answers<typeof AnalyticsService> {
  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    private readonly owners: WorkflowOwners,
  ) {}

  async getThroughput(caller: Caller, { filter }: GetThroughputRequest): Promise<Answer<GetThroughputResponse>> {
    const { parts, failures } = await this.askFiltered(caller, filter, ({ connection }, input, asking) =>
      connection.read(AnalyticsService.method.getThroughput, input, callOptions(asking)),
    );
    return { value: mergeThroughput(parts), failures, notes: [] };
  }

  async getLatency(caller: Caller, { filter }: GetLatencyRequest): Promise<Answer<GetLatencyResponse>> {
    const { parts, failures } = await this.askFiltered(caller, filter, ({ connection }, input, asking) =>
      connection.read(AnalyticsService.method.getLatency, input, callOptions(asking)),
    );
    const { value, isApproximate } = mergeLatency(parts);
    return { value, failures, notes: isApproximate ? ['approximate'] : [] };
  }

  async getFailureRate(caller: Caller, { filter }: GetFailureRateRequest): Promise<Answer<GetFailureRateResponse>> {
    const { parts, failures } = await this.askFiltered(caller, filter, ({ connection }, input, asking) =>
      connection.read(AnalyticsService.method.getFailureRate, input, callOptions(asking)),
    );
    return { value: mergeFailureRate(parts), failures, notes: [] };
  }

  async getStepDuration(
    caller: Caller,
    { workflowId, timeRange }: GetStepDurationRequest,
  ): Promise<Answer<GetStepDurationResponse>> {
    const questions = await this.questions(caller, { workflowId, subsystemId: '' });
    const { parts, failures } = await askAll(caller, questions, ({ subsystem, workflowId: ownId }, asking) => {
      const input = { workflowId: ownId, ...(timeRange && { timeRange }) };
      return subsystem.connection.read(AnalyticsService.method.getStepDuration, input, callOptions(asking));
    });
    const { value, isApproximate } = mergeStepDuration(parts);
    return { value, failures, notes: isApproximate ? ['approximate'] : [] };
  }

  async getStepHeatmap(caller: Caller, { filter }: GetStepHeatmapRequest): Promise<Answer<GetStepHeatmapResponse>> {
    const { parts, failures } = await this.askFiltered(caller, filter, ({ connection }, input, asking) =>
      connection.read(AnalyticsService.method.getStepHeatmap, input, callOptions(asking)),
    );
    return { value: mergeStepHeatmap(parts), failures, notes: [] };
  }

  private async askFiltered<T>(
    caller: Caller,
    filter: AnalyticsFilter | undefined,
    ask: (subsystem: Subsystem, input: { filter?: AnalyticsFilter }, asking: Caller) => Promise<T>,
  ): Promise<Parts<T>> {
    const questions = await this.questions(caller, filter);
    return askAll(caller, questions, ({ subsystem, workflowId, subsystemId }, asking) =>
      ask(subsystem, filter ? { filter: { ...filter, workflowId, subsystemId } } : {}, asking),
    );
  }

  /** With a workflow its owner alone is asked, under the id that it knows; no figures match if another one is selected. */
  private async questions(
    caller: Caller,
    { workflowId, subsystemId }: Pick<AnalyticsFilter, 'workflowId' | 'subsystemId'> = {
      workflowId: '',
      subsystemId: '',
    },
  ): Promise<readonly Question[]> {
    const all = this.directory.list(caller.principal);
    if (workflowId === '') {
      return selectSubsystems(all, subsystemId === '' ? [] : [subsystemId]).map(({ subsystem, domainIds }) => {
        const [domainId = ''] = domainIds;
        return { subsystem, workflowId, subsystemId: domainId };
      });
    }
    const selected = all.find(({ id }) => id === subsystemId);
    if (selected) {
      const qualified = this.owners.qualified(caller.principal, workflowId);
      if (qualified && qualified.subsystem !== selected) return [];
      return [{ subsystem: selected, workflowId: qualified?.workflowId ?? workflowId, subsystemId: '' }];
    }
    const owned = await this.owners.find(caller, workflowId);
    return [{ subsystem: owned.subsystem, workflowId: owned.workflowId, subsystemId }];
  }
}

async function askAll<T>(
  caller: Caller,
  questions: readonly Question[],
  ask: (question: Question, asking: Caller) => Promise<T>,
): Promise<Parts<T>> {
  const bySubsystem = new Map(questions.map((question) => [question.subsystem, question]));
  const asked = async (subsystem: Subsystem, asking: Caller): Promise<T> => {
    const question = bySubsystem.get(subsystem);
    if (!question) throw new RangeError(`subsystem ${subsystem.id} is not to be asked`);
    return ask(question, asking);
  };
  const { answers, failures } = await fanOut(caller, [...bySubsystem.keys()], asked);
  return { parts: answers.map(({ answer }) => answer), failures };
}
