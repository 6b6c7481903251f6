import { describe, expect, it } from '@jest/globals';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Subsystem } from '../registry/subsystem-directory.js';
import { invalidArgument } from '../input/invalid-argument.js';
import { ambiguousId } from '../routing/owner-error.js';
import { problemOfAnswer } from './gateway-problems.js';

describe('the problem of an answer', () => {
  it.each([
    [Code.NotFound, 404, 'resource.not_found'],
    [Code.FailedPrecondition, 409, 'gateway.refused'],
    [Code.Aborted, 409, 'gateway.refused'],
    [Code.Unimplemented, 501, 'gateway.unimplemented'],
    [Code.Unavailable, 503, 'gateway.subsystem_unavailable'],
    [Code.DeadlineExceeded, 504, 'gateway.subsystem_timeout'],
    [Code.Internal, 502, 'gateway.subsystem_failed'],
    [Code.Unknown, 502, 'gateway.subsystem_failed'],
    [Code.ResourceExhausted, 502, 'gateway.subsystem_failed'],
    [Code.Unauthenticated, 502, 'gateway.subsystem_failed'],
  ])('%s of a read is %i %s, in its words', (code, status, expected) => {
    const problem = problemOfAnswer(new ConnectError('why it is so', code), false);
    expect([problem.status, problem.code, problem.detail]).toEqual([status, expected, 'why it is so']);
  });

  it.each([Code.Unknown, Code.DeadlineExceeded, Code.Canceled, Code.Internal])(
    '%s of a mutation is an unknown outcome',
    (code) => {
      expect(problemOfAnswer(new ConnectError('lost', code), true).code).toBe('gateway.outcome_unknown');
    },
  );

  it.each([
    [Code.Unavailable, 'gateway.subsystem_unavailable'],
    [Code.FailedPrecondition, 'gateway.refused'],
    [Code.NotFound, 'resource.not_found'],
  ])('%s of a mutation changed nothing', (code, expected) => {
    expect(problemOfAnswer(new ConnectError('no', code), true).code).toBe(expected);
  });

  it('tells an ambiguous id from other refusals', () => {
    const owners = ['a', 'b'].map((id) => ({ id }) as Subsystem);
    for (const isMutation of [true, false]) {
      const problem = problemOfAnswer(ambiguousId('run', 'x', owners), isMutation);
      expect([problem.status, problem.code]).toEqual([409, 'gateway.ambiguous_id']);
      expect(problem.detail).toContain('a~x, b~x');
    }
  });

  it('names wrong fields as the routes do', () => {
    const description = 'is wrong';
    const fields = ['pagination.limit', 'run_id', 'run_ids[3]', 'step_name', 'order_by', 'limit'];
    fields.push('filter.time_range.to', 'filter.workflow_ids[1]', 'filter.workflow_id', 'filter.statuses');
    const problem = problemOfAnswer(invalidArgument(...fields.map((field) => ({ field, description }))), true);
    expect(problem.code).toBe('request.invalid');
    expect(problem.errors.map(({ path }) => path)).toEqual([
      'limit',
      'id',
      'runIds[3]',
      'stepName',
      'orderBy',
      'limit',
      'to',
      'workflowId[1]',
      'workflowId',
      'status',
    ]);
    expect(problem.errors[0]?.message).toBe(description);
  });

  it('says what a subsystem finds wrong with a request', () => {
    const { status, errors } = problemOfAnswer(new ConnectError('cannot read that query', Code.InvalidArgument), false);
    expect([status, errors]).toEqual([422, [{ path: '', message: 'cannot read that query' }]]);
  });
});
