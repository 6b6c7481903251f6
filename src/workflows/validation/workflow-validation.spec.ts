import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { configDefaults } from '../../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { ANN, type ExecutionRoom, openExecutionRoom } from '../../../test/support/execution-room.js';
import { EventBus, RequestOver } from '../../realtime/index.js';
import { realtimeConfig } from '../../realtime/realtime.config.js';
import type { StoredWorkflow } from '../workflow.js';
import { errorProblem, warningProblem } from './problem.js';
import type { ValidationReport } from './validation-report.js';
import { ValidatorResponders } from './validator-responders.js';
import { type Finding, VALIDATOR_NAMES, type ValidatorName, type Validator } from './validator.js';
import { WorkflowValidation } from './workflow-validation.js';

type Judge = Validator['validate'];

const NOTHING: Finding = { summary: null, problems: [] };

describe('the validation of a workflow', () => {
  let room: ExecutionRoom;
  let workflow: StoredWorkflow;
  let clock: FakeClock;
  let bus: EventBus;
  let validation: WorkflowValidation;
  let readiness: { state: 'ready' | 'draining' };
  let judges: Map<ValidatorName, Judge>;

  beforeAll(async () => {
    room = await openExecutionRoom();
    workflow = await room.createWorkflow();
  });
  afterAll(() => room.close());
  beforeEach(async () => {
    clock = new FakeClock();
    bus = new EventBus(clock, configDefaults(realtimeConfig));
    judges = new Map();
    const validators = VALIDATOR_NAMES.map((name): Validator => ({
      name,
      validate: (request, signal) => judges.get(name)?.(request, signal) ?? Promise.resolve(NOTHING),
    }));
    const [schema, reachability, rights, namespaces, ownership, dryRun] = validators as never[];
    new ValidatorResponders(
      bus,
      clock,
      schema as never,
      reachability as never,
      rights as never,
      namespaces as never,
      ownership as never,
      dryRun as never,
    );
    await bus.start();
    readiness = { state: 'ready' };
    validation = new WorkflowValidation(room.workflows, bus, readiness, clock);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  const validate = (signal = new AbortController().signal, timeoutMs = 10_000): Promise<ValidationReport> =>
    validation.validate(ANN, workflow.id, { timeoutMs, signal });
  const verdictsOf = ({ verdicts }: ValidationReport): Record<string, string> =>
    Object.fromEntries(verdicts.map(({ validator, verdict }) => [validator, verdict]));
  /** The workflow is read from the store before anybody is asked. */
  const asking = async (count = 1): Promise<void> => {
    while (bus.stats().requests.pending < count) await settle(1);
    await settle();
  };
  const never: Judge = () => new Promise(() => undefined);

  it('sums the verdicts up, in their order, each by its worst problem', async () => {
    judges.set('schema', () => Promise.resolve({ summary: 's', problems: [warningProblem('w')] }));
    judges.set('rights', () => Promise.resolve({ summary: null, problems: [warningProblem('w'), errorProblem('e')] }));
    judges.set('reachability', async () => {
      await clock.sleep(40);
      return NOTHING;
    });
    const asked = validate();
    await asking();
    await clock.advance(40);
    const report = await asked;
    expect(report).toMatchObject({ valid: false, version: 1, durationMs: 40, checkedAt: '2026-01-01T00:00:00.000Z' });
    expect(report.verdicts.map(({ validator }) => validator)).toEqual([...VALIDATOR_NAMES]);
    expect(verdictsOf(report)).toMatchObject({ schema: 'warning', reachability: 'passed', rights: 'failed' });
    expect(report.verdicts[1]).toMatchObject({ durationMs: 40 });
    expect(report.verdicts[2]?.problems.map(({ severity }) => severity)).toEqual(['error', 'warning']);
  });

  it('tells of a validator that had nothing to judge that it was skipped, not that all is well', async () => {
    judges.set('dry-run', () => Promise.resolve({ summary: '0 of 2 manifests tried', problems: [], isSkipped: true }));
    judges.set('rights', () => Promise.resolve({ summary: null, problems: [warningProblem('w')], isSkipped: true }));
    const report = await validate();
    expect(verdictsOf(report)).toMatchObject({ rights: 'warning', 'dry-run': 'skipped' });
    expect(report.valid).toBe(true);
    expect(report.verdicts.at(-1)).not.toHaveProperty('isSkipped');
  });

  it('is valid with warnings alone', async () => {
    judges.set('schema', () => Promise.resolve({ summary: null, problems: [warningProblem('w')] }));
    expect((await validate()).valid).toBe(true);
  });

  it('tells who has not answered in time, and ends its work', async () => {
    let ended: unknown;
    judges.set('dry-run', (_, signal) => {
      signal.addEventListener('abort', () => (ended = signal.reason));
      return never({} as never, signal);
    });
    const asked = validate(undefined, 3_000);
    await asking();
    await clock.advance(2_999);
    expect(ended).toBeUndefined();
    await clock.advance(1);
    const report = await asked;
    expect(report).toMatchObject({ valid: false, durationMs: 3_000 });
    expect(verdictsOf(report)).toMatchObject({ schema: 'passed', 'dry-run': 'unanswered' });
    expect(report.verdicts.at(-1)).toMatchObject({ durationMs: null, problems: [{ severity: 'error' }] });
    expect(ended).toBeInstanceOf(RequestOver);
  });

  it('shows a fault of one validator as internal, for it alone, and logs it in full', async () => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const fault = new Error('with details');
    judges.set('ownership', () => Promise.reject(fault));
    const report = await validate();
    expect(report.valid).toBe(false);
    expect(verdictsOf(report)).toMatchObject({ namespaces: 'passed', ownership: 'error', 'dry-run': 'passed' });
    expect(JSON.stringify(report)).toContain('internal');
    expect(JSON.stringify(report)).not.toContain('with details');
    expect(logged).toHaveBeenCalledWith(expect.objectContaining({ validator: 'ownership', error: fault }));
  });

  it('cuts what is too much to read, warnings before errors', async () => {
    const problems = [...Array.from({ length: 150 }, () => warningProblem('w')), errorProblem('e')];
    judges.set('schema', () => Promise.resolve({ summary: null, problems }));
    const [schema] = (await validate()).verdicts;
    expect(schema?.problems).toHaveLength(101);
    expect(schema?.problems[0]).toMatchObject({ severity: 'error' });
    expect(schema?.problems.at(-1)?.message).toContain('51 more');
  });

  it('is given up with the client, and its place is free again', async () => {
    for (const name of VALIDATOR_NAMES) judges.set(name, never);
    const left = new AbortController();
    const asked = [validate(left.signal), validate(left.signal)];
    await asking(2);
    await expect(validate()).rejects.toMatchObject({
      code: 'request.rate_limited',
      headers: { 'Retry-After': expect.any(String) },
    });
    left.abort(new Error('left'));
    for (const each of asked) await expect(each).rejects.toThrow('left');
    judges.clear();
    expect((await validate()).valid).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('bounds the validations of all workflows together', async () => {
    for (const name of VALIDATOR_NAMES) judges.set(name, never);
    const others = await Promise.all(Array.from({ length: 9 }, () => room.createWorkflow()));
    const left = new AbortController();
    const options = { timeoutMs: 10_000, signal: left.signal };
    const asked = others.slice(0, 8).flatMap(({ id }) => [1, 2].map(() => validation.validate(ANN, id, options)));
    const settled = Promise.allSettled(asked);
    await asking(16);
    await expect(validation.validate(ANN, others[8]?.id ?? '', options)).rejects.toMatchObject({
      code: 'request.rate_limited',
      detail: expect.stringContaining('16 validations'),
    });
    left.abort(new Error('left'));
    await settled;
  });

  it('fails fast while the bus is paused or the service drains', async () => {
    bus.pause();
    await expect(validate()).rejects.toMatchObject({ code: 'service.unavailable', status: 503 });
    await bus.start();
    expect((await validate()).valid).toBe(true);
    readiness.state = 'draining';
    await expect(validate()).rejects.toMatchObject({ code: 'service.draining' });
  });

  it('tells one that is in progress when the service drains that it does', async () => {
    for (const name of VALIDATOR_NAMES) judges.set(name, never);
    const asked = Promise.allSettled([validate()]);
    await asking();
    readiness.state = 'draining';
    await bus.stop(AbortSignal.abort());
    expect(await asked).toMatchObject([{ status: 'rejected', reason: { code: 'service.draining', status: 503 } }]);
  });

  it('knows only workflows of the tenant, archived ones too', async () => {
    const stranger = { ...ANN, tenantId: 'other' };
    const options = { timeoutMs: 10_000, signal: new AbortController().signal };
    await expect(validation.validate(stranger, workflow.id, options)).rejects.toMatchObject({
      code: 'resource.not_found',
    });
    const archived = await room.createWorkflow();
    await room.workflows.transition(ANN, archived.id, ['active'], 'archived');
    expect(await validation.validate(ANN, archived.id, options)).toMatchObject({ valid: true, version: 2 });
  });
});
