import { beforeEach, describe, expect, it } from '@jest/globals';
import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { AnswersRoom } from '../../../test/support/answers-room.js';
import {
  type AnalyticsFilterSchema,
  AnalyticsService,
  GetLatencyRequestSchema,
  GetStepDurationRequestSchema,
  GetThroughputRequestSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { WorkflowDefinitionSchema } from '../gen/flowwatch/v1/types_pb.js';
import { AnalyticsAnswers } from './analytics-answers.js';

const hour = timestampFromMs(3_600_000);

/** An engine that has had so many runs, each of which took that long. */
function engine(total: number, tookMs = 100): (router: ConnectRouter) => void {
  const lasted = durationFromMs(tookMs);
  return (router) =>
    void router.service(AnalyticsService, {
      getThroughput: ({ filter }) => {
        if (filter?.granularity === 'fortnight') throw new ConnectError('granularity is unknown', Code.InvalidArgument);
        return { buckets: [{ timestamp: hour, total }] };
      },
      getLatency: () => ({ buckets: [{ timestamp: hour, p50: lasted, p95: lasted, p99: lasted }] }),
      getStepDuration: () => ({ steps: [{ stepName: 'pay', total: { p95: lasted }, sampleCount: BigInt(total) }] }),
    });
}

let room: AnswersRoom;
let answers: AnalyticsAnswers;

beforeEach(() => {
  room = new AnswersRoom();
  answers = new AnalyticsAnswers(room.directory, room.workflowOwners);
});

function add(id: string, total: number, workflowIds: readonly string[] = []) {
  const workflows = workflowIds.map((workflowId) => create(WorkflowDefinitionSchema, { id: workflowId }));
  return room.add(id, engine(total), { workflows });
}

const throughput = (filter?: MessageInitShape<typeof AnalyticsFilterSchema>) =>
  answers.getThroughput(room.caller(), create(GetThroughputRequestSchema, filter ? { filter } : {}));
const totalOf = async (filter?: MessageInitShape<typeof AnalyticsFilterSchema>) =>
  (await throughput(filter)).value.buckets.map(({ total }) => total);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );
const filtersOf = (connection: ReturnType<typeof add>) =>
  connection.calls.map(({ input }) => (input as MessageInitShape<typeof GetThroughputRequestSchema>).filter);

describe('figures over subsystems', () => {
  it('are of all without a filter', async () => {
    add('orders', 2);
    add('billing', 3);
    expect(await totalOf()).toEqual([5]);
  });

  it('are of the subsystem that is selected, which is not told of it', async () => {
    const orders = add('orders', 2);
    const billing = add('billing', 3);
    expect(await totalOf({ subsystemId: 'billing', granularity: '1h' })).toEqual([3]);
    expect(filtersOf(billing)).toMatchObject([{ subsystemId: '', granularity: '1h' }]);
    expect(orders.count()).toBe(0);
  });

  it('pass a business domain on to all', async () => {
    const both = [add('orders', 2), add('billing', 3)];
    expect(await totalOf({ subsystemId: 'eu' })).toEqual([5]);
    for (const connection of both) expect(filtersOf(connection)).toMatchObject([{ subsystemId: 'eu' }]);
  });

  it('are of the owner of a workflow, under the id that it knows', async () => {
    const orders = add('orders', 2, ['order', 'both']);
    const billing = add('billing', 3, ['both']);
    expect(await totalOf({ workflowId: 'order' })).toEqual([2]);
    expect(await totalOf({ workflowId: 'billing~both' })).toEqual([3]);
    expect(await totalOf({ workflowId: 'both', subsystemId: 'orders' })).toEqual([2]);
    expect(await totalOf({ workflowId: 'billing~both', subsystemId: 'orders' })).toEqual([]);
    expect(await codeOf(throughput({ workflowId: 'both' }))).toBe(Code.FailedPrecondition);
    expect(await codeOf(throughput({ workflowId: 'nobodys' }))).toBe(Code.NotFound);
    expect(filtersOf(billing)).toMatchObject([{ workflowId: 'both', subsystemId: '' }]);
    expect(filtersOf(orders)).toMatchObject([{ workflowId: 'order' }, { workflowId: 'both' }]);
  });

  it('name who is missing; nothing is told when all are', async () => {
    add('orders', 2);
    const billing = add('billing', 3);
    billing.fail('*', Code.Internal);
    const { value, failures } = await throughput();
    expect(value.buckets[0]?.total).toBe(2);
    expect(failures).toEqual([{ subsystemId: 'billing', reason: 'failed' }]);
    expect(await codeOf(throughput({ subsystemId: 'billing' }))).toBe(Code.Unavailable);
  });

  it('say that the request is bad when that is what all say', async () => {
    add('orders', 2);
    add('billing', 3).fail('*', Code.Unavailable);
    expect(await codeOf(throughput({ granularity: 'fortnight' }))).toBe(Code.InvalidArgument);
  });

  it('are approximate where percentiles of several are told', async () => {
    add('orders', 2);
    add('billing', 3);
    const latency = (subsystemId: string) =>
      answers.getLatency(room.caller(), create(GetLatencyRequestSchema, { filter: { subsystemId } }));
    expect((await latency('')).notes).toEqual(['approximate']);
    expect((await latency('orders')).notes).toEqual([]);
    const steps = await answers.getStepDuration(room.caller(), create(GetStepDurationRequestSchema));
    expect(steps.notes).toEqual(['approximate']);
    expect(steps.value.steps[0]?.sampleCount).toBe(5n);
  });

  it('are none of another tenant', async () => {
    const theirs = room.add('theirs', engine(9), { tenantId: 'other' });
    expect(await totalOf()).toEqual([]);
    expect(theirs.count()).toBe(0);
  });
});
