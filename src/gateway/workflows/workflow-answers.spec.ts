import { beforeEach, describe, expect, it } from '@jest/globals';
import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { AnswersRoom, CALL_TIMEOUT_MS } from '../../../test/support/answers-room.js';
import {
  CapabilitiesSchema,
  type WorkflowDefinitionSchema,
  WorkflowDefinitionSchema as Workflow,
} from '../gen/flowwatch/v1/types_pb.js';
import {
  GetGraphRequestSchema,
  GetSubsystemRequestSchema,
  GetTraceRequestSchema,
  GetWorkflowRequestSchema,
  ListWorkflowsRequestSchema,
  type SubsystemSummarySchema,
  type TraceSpanSchema,
  WorkflowService,
} from '../gen/flowwatch/v1/workflow_service_pb.js';
import { SubsystemSummaries } from './subsystem-summaries.js';
import { WorkflowAnswers } from './workflow-answers.js';
import { WorkflowList } from './workflow-list.js';

interface Said {
  readonly workflows?: readonly MessageInitShape<typeof WorkflowDefinitionSchema>[];
  readonly domains?: readonly MessageInitShape<typeof SubsystemSummarySchema>[];
  readonly spans?: readonly MessageInitShape<typeof TraceSpanSchema>[];
  /** Workflows to a page. */
  readonly pageSize?: number;
  readonly hasGraphs?: boolean;
}

/** A FlowWatch engine as far as WorkflowService goes. */
function engine({
  workflows = [],
  domains = [],
  spans,
  pageSize = 1_000,
  hasGraphs = true,
}: Said): (router: ConnectRouter) => void {
  return (router) =>
    void router.service(WorkflowService, {
      listWorkflows: ({ pagination }) => {
        const from = Number(pagination?.cursor ?? '') || 0;
        const to = from + pageSize;
        return {
          workflows: workflows.slice(from, to),
          pagination: { nextCursor: to < workflows.length ? String(to) : '' },
        };
      },
      getWorkflow: ({ workflowId }) => {
        const workflow = workflows.find(({ id }) => id === workflowId);
        if (!workflow) throw new ConnectError('workflow not found', Code.NotFound);
        return { workflow };
      },
      getGraph: ({ workflowId }) => (hasGraphs ? { graph: { workflowId, nodes: [{ id: '1' }] } } : {}),
      listSubsystems: () => ({ subsystems: [...domains] }),
      getSubsystem: ({ subsystemId }) => {
        const subsystem = domains.find((domain) => domain.subsystem?.id === subsystemId);
        if (!subsystem) throw new ConnectError('subsystem not found', Code.NotFound);
        return { subsystem, workflows: [...workflows] };
      },
      getTrace: ({ traceId }) => {
        if (!spans) throw new ConnectError('trace not found', Code.NotFound);
        return { traceId, spans: [...spans] };
      },
    });
}

let room: AnswersRoom;
let answers: WorkflowAnswers;

beforeEach(() => {
  room = new AnswersRoom();
  const list = new WorkflowList(room.directory, room.workflowOwners, room.clock, { callTimeoutMs: CALL_TIMEOUT_MS });
  const summaries = new SubsystemSummaries(room.directory, list);
  answers = new WorkflowAnswers(room.directory, room.workflowOwners, room.runOwners, list, summaries);
});

function add(id: string, said: Said, more: Parameters<AnswersRoom['add']>[2] = {}) {
  const workflows = (said.workflows ?? []).map((workflow) => create(Workflow, workflow));
  return room.add(id, engine(said), { workflows, ...more });
}

const page = (cursor = '', limit = 0) => create(ListWorkflowsRequestSchema, { pagination: { cursor, limit } });
const workflow = (workflowId: string) => create(GetWorkflowRequestSchema, { workflowId });
const trace = (traceId = 't1') => create(GetTraceRequestSchema, { traceId });
const subsystem = (subsystemId: string) => create(GetSubsystemRequestSchema, { subsystemId });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );

describe('ListWorkflows', () => {
  it('lists those of all by name, page by page, with the total', async () => {
    add('orders', {
      workflows: [
        { id: 'o', name: 'Order' },
        { id: 'a', name: 'Archive' },
      ],
      pageSize: 1,
    });
    add('billing', { workflows: [{ id: 'c', name: 'Charge' }] });
    const first = await answers.listWorkflows(room.caller(), page('', 2));
    expect(first.value.workflows.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(first.value.pagination?.totalCount).toBe(3);
    const second = await answers.listWorkflows(room.caller(), page(first.value.pagination?.nextCursor, 2));
    expect(second.value.workflows.map(({ id }) => id)).toEqual(['o']);
    expect(second.value.pagination?.nextCursor).toBe('');
  });

  it('tells workflows of the same id apart, and each qualified id finds its own', async () => {
    add('orders', { workflows: [{ id: 'w', name: 'Order' }] });
    add('billing', { workflows: [{ id: 'w', name: 'Charge' }] });
    const { value } = await answers.listWorkflows(room.caller(), page());
    expect(value.workflows.map(({ id }) => id)).toEqual(['billing~w', 'orders~w']);
    const found = await answers.getWorkflow(room.caller(), workflow('orders~w'));
    expect(found.value.workflow).toMatchObject({ id: 'orders~w', name: 'Order' });
    expect(
      (await answers.getGraph(room.caller(), create(GetGraphRequestSchema, { workflowId: 'orders~w' }))).value.graph
        ?.workflowId,
    ).toBe('orders~w');
    expect(await codeOf(answers.getWorkflow(room.caller(), workflow('w')))).toBe(Code.FailedPrecondition);
  });

  it('does not deny a workflow of which its engine has no graph', async () => {
    add('orders', { workflows: [{ id: 'w', name: 'Order' }], hasGraphs: false });
    const { value } = await answers.getGraph(room.caller(), create(GetGraphRequestSchema, { workflowId: 'w' }));
    expect(value.graph).toBeUndefined();
  });

  it('names who is missing, and fails when all are', async () => {
    add('orders', { workflows: [{ id: 'o', name: 'Order' }] });
    const billing = add('billing', {});
    add('shipping', {}, { state: 'stale' });
    billing.hang('ListWorkflows');
    const asked = answers.listWorkflows(room.caller(), page());
    await room.clock.advance(CALL_TIMEOUT_MS);
    const { value, failures } = await asked;
    expect(value.workflows.map(({ id }) => id)).toEqual(['o']);
    expect(failures).toEqual([
      { subsystemId: 'billing', reason: 'timeout' },
      { subsystemId: 'shipping', reason: 'stale' },
    ]);
    expect(room.clock.pendingTimers).toBe(0);
    room.directory.remove('orders');
    billing.fail('ListWorkflows', Code.Unavailable);
    expect(await codeOf(answers.listWorkflows(room.caller(), page()))).toBe(Code.Unavailable);
  });

  it('gives up on a subsystem whose pages never end', async () => {
    add('orders', { workflows: [{ id: 'o', name: 'Order' }] });
    let pages = 0;
    const endless = (router: ConnectRouter): void =>
      void router.service(WorkflowService, {
        listWorkflows: () => {
          pages += 1;
          const workflows = Array.from({ length: 3_000 }, (_, index) => ({ id: `w${pages}-${index}`, name: 'x' }));
          return { workflows, pagination: { nextCursor: String(pages) } };
        },
      });
    room.add('endless', endless);
    const { failures, value } = await answers.listWorkflows(room.caller(), page());
    expect(failures).toEqual([{ subsystemId: 'endless', reason: 'oversized' }]);
    expect(value.pagination?.totalCount).toBe(10_001);
  });

  it('shows nothing of another tenant, and asks no one there', async () => {
    const other = add('theirs', { workflows: [{ id: 'x', name: 'X' }] }, { tenantId: 'other' });
    const { value, failures } = await answers.listWorkflows(room.caller(), page());
    expect([value.workflows, failures, other.count()]).toEqual([[], [], 0]);
    expect(await codeOf(answers.getWorkflow(room.caller(), workflow('theirs~x')))).toBe(Code.NotFound);
  });

  it('refuses a negative limit and a cursor of somebody else', async () => {
    expect(await codeOf(answers.listWorkflows(room.caller(), page('', -1)))).toBe(Code.InvalidArgument);
    expect(await codeOf(answers.listWorkflows(room.caller(), page('25')))).toBe(Code.InvalidArgument);
  });
});

describe('GetCapabilities', () => {
  it('offers what any does, and what the gateway stands in for', async () => {
    add('orders', {}, { capabilities: create(CapabilitiesSchema, { retryRun: true, analytics: true }) });
    add(
      'billing',
      {},
      {
        capabilities: create(CapabilitiesSchema, {
          cancelRun: true,
          search: { enabled: true, engine: 'bleve', scopes: ['runs', 'logs'], maxResults: 100, queryLanguage: true },
        }),
      },
    );
    add(
      'shipping',
      {},
      {
        capabilities: create(CapabilitiesSchema, {
          search: { enabled: true, engine: 'fts', scopes: ['runs'], maxResults: 50 },
        }),
      },
    );
    const { value, failures } = await answers.getCapabilities(room.caller());
    expect(value.capabilities).toMatchObject({
      retryRun: true,
      cancelRun: true,
      skipStep: false,
      streaming: true,
      analytics: true,
      search: { enabled: true, engine: 'bleve, fts', scopes: ['logs', 'runs'], maxResults: 50, queryLanguage: false },
    });
    expect(failures).toEqual([]);
    expect(answers.capabilitiesBySubsystem(room.caller().principal)[0]).toMatchObject({
      subsystemId: 'billing',
      capabilities: { cancelRun: true },
    });
  });

  it('offers nothing while there is nobody', async () => {
    const { value } = await answers.getCapabilities(room.caller());
    expect(value.capabilities).toMatchObject({ streaming: false, search: { enabled: false } });
  });
});

describe('ListSubsystems and GetSubsystem', () => {
  const domains = [
    { subsystem: { id: 'eu' }, workflowCount: 2, activeRuns: 3, failedLastHour: 1, errorRateLastHour: 0.1 },
    { subsystem: { id: 'us' }, workflowCount: 1, activeRuns: 4, failedLastHour: 9, errorRateLastHour: 0.9 },
  ];

  it('adds up the domains of each, and lists those without figures too', async () => {
    add('orders', { domains }, { name: 'Orders', registeredAt: 1_000, metadata: { team: 'a' } });
    add('billing', {}).fail('ListSubsystems', Code.Internal);
    add('shipping', { workflows: [{ id: 's', name: 'Ship' }] }, { state: 'stale' });
    const { value, failures, notes } = await answers.listSubsystems(room.caller());
    expect(value.subsystems.map((each) => each.subsystem?.id)).toEqual(['billing', 'orders', 'shipping']);
    expect(value.subsystems[1]).toMatchObject({
      subsystem: { name: 'Orders', metadata: { team: 'a' }, createdAt: timestampFromMs(1_000) },
      workflowCount: 3,
      activeRuns: 7,
      failedLastHour: 10,
    });
    // 1 of 10 and 9 of 10 runs have failed.
    expect(value.subsystems[1]?.errorRateLastHour).toBeCloseTo(0.5);
    expect(value.subsystems[2]).toMatchObject({ workflowCount: 1, activeRuns: 0 });
    expect(failures).toEqual([
      { subsystemId: 'billing', reason: 'failed' },
      { subsystemId: 'shipping', reason: 'stale' },
    ]);
    expect(notes).toEqual([]);
  });

  it('says that the rate is only a bound when a domain without failures hides how many runs it had', async () => {
    add('orders', { domains: [...domains, { subsystem: { id: 'asia' }, activeRuns: 1 }] });
    expect((await answers.listSubsystems(room.caller())).notes).toEqual(['approximate']);
  });

  it('shows one by its registered id, with its workflows', async () => {
    add('orders', { domains, workflows: [{ id: 'o', name: 'Order' }] });
    const { value } = await answers.getSubsystem(room.caller(), subsystem('orders'));
    expect(value.subsystem?.subsystem?.id).toBe('orders');
    expect(value.workflows.map(({ id }) => id)).toEqual(['o']);
  });

  it('shows one behind a gateway behind it', async () => {
    add('site', { domains: [{ subsystem: { id: 'orders', name: 'Orders' }, activeRuns: 5 }] });
    const { value } = await answers.getSubsystem(room.caller(), subsystem('site~orders'));
    expect(value.subsystem).toMatchObject({ subsystem: { id: 'site~orders', name: 'Orders' }, activeRuns: 5 });
  });

  it('shows a business domain of several as one', async () => {
    add('orders', { domains, workflows: [{ id: 'o', name: 'Order' }] });
    add('billing', {
      domains: [{ subsystem: { id: 'eu' }, activeRuns: 10 }],
      workflows: [{ id: 'o', name: 'Charge' }],
    });
    add('shipping', {});
    const { value, failures } = await answers.getSubsystem(room.caller(), subsystem('eu'));
    expect(value.subsystem).toMatchObject({ subsystem: { id: 'eu' }, activeRuns: 13 });
    expect(value.workflows.map(({ id }) => id)).toEqual(['billing~o', 'orders~o']);
    expect(failures).toEqual([]);
  });

  it('knows none of another tenant, and does not deny one that may be with who failed', async () => {
    add('theirs', { domains }, { tenantId: 'other' });
    expect(await codeOf(answers.getSubsystem(room.caller(), subsystem('theirs')))).toBe(Code.NotFound);
    expect(await codeOf(answers.getSubsystem(room.caller(), subsystem('eu')))).toBe(Code.NotFound);
    add('orders', {});
    add('billing', {}, { state: 'stale' });
    expect(await codeOf(answers.getSubsystem(room.caller(), subsystem('eu')))).toBe(Code.Unavailable);
  });
});

describe('GetTrace', () => {
  const run = (id: string, startMs: number) => ({
    run: { id, workflowId: 'w', startedAt: timestampFromMs(startMs), duration: durationFromMs(10) },
  });

  it('unites the spans of all, tells runs of the same id apart, and remembers whose they are', async () => {
    add('orders', { spans: [{ spanId: 'b', ...run('r1', 100), steps: [{ runId: 'r1' }] }] });
    add('billing', {
      spans: [
        { spanId: 'a', ...run('r1', 50) },
        { spanId: 'c', ...run('r2', 60) },
      ],
    });
    add('shipping', {});
    const { value, failures } = await answers.getTrace(room.caller(), trace());
    expect(value.spans.map((span) => span.run?.id)).toEqual(['billing~r1', 'r2', 'orders~r1']);
    expect(value.spans[2]?.steps[0]?.runId).toBe('orders~r1');
    expect(value.subsystemCount).toBe(2);
    expect(failures).toEqual([]);
    const { subsystem: owner } = await room.runOwners.find(room.caller(), 'r2');
    expect(owner.id).toBe('billing');
  });

  it('is not found only if all say so', async () => {
    add('orders', {});
    const billing = add('billing', {});
    expect(await codeOf(answers.getTrace(room.caller(), trace()))).toBe(Code.NotFound);
    billing.fail('GetTrace', Code.Unavailable);
    expect(await codeOf(answers.getTrace(room.caller(), trace()))).toBe(Code.Unavailable);
    expect(await codeOf(answers.getTrace(room.caller(), trace('')))).toBe(Code.InvalidArgument);
  });

  it('names who is missing from it', async () => {
    add('orders', { spans: [{ spanId: 'b', ...run('r1', 100) }] });
    add('billing', {}).fail('GetTrace', Code.Internal);
    const { value, failures } = await answers.getTrace(room.caller(), trace());
    expect(value.spans).toHaveLength(1);
    expect(failures).toEqual([{ subsystemId: 'billing', reason: 'failed' }]);
  });
});
