import { describe, expect, it } from '@jest/globals';
import { FakeSubsystemConnection } from '../../../test/support/fake-subsystem-connection.js';
import { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { readWorkflows } from './call-back.js';

/** Answers the call of each number with so many new workflows, and a cursor while `more` says so. */
function subsystem(size: number, more: (call: number) => boolean) {
  const calls: string[] = [];
  const connection = new FakeSubsystemConnection((router) => {
    router.rpc(WorkflowService.method.listWorkflows, ({ pagination }) => {
      const call = calls.push(pagination?.cursor ?? '');
      const workflows = Array.from({ length: size }, (_, index) => ({ id: `${call}-${index}` }));
      return { workflows, pagination: { nextCursor: more(call) ? `after ${call}` : '' } };
    });
  });
  return { connection, calls };
}

describe('the workflows of a subsystem', () => {
  it('are read page by page', async () => {
    const { connection, calls } = subsystem(50, (call) => call < 4);
    expect(await readWorkflows(connection, {})).toMatchObject({ workflows: { length: 200 }, isCut: false });
    expect(calls).toEqual(['', 'after 1', 'after 2', 'after 3']);
  });

  it('are whole if the last page that is read is the last', async () => {
    const { connection } = subsystem(3, (call) => call < 200);
    expect(await readWorkflows(connection, {})).toMatchObject({ workflows: { length: 600 }, isCut: false });
  });

  it('are cut after 200 calls where pages never end', async () => {
    const { connection, calls } = subsystem(1, () => true);
    expect(await readWorkflows(connection, {})).toMatchObject({ workflows: { length: 200 }, isCut: true });
    expect(calls).toHaveLength(200);
  });

  it('are cut after 10 000, in one page or many', async () => {
    const { connection, calls } = subsystem(10_001, () => false);
    expect(await readWorkflows(connection, {})).toMatchObject({ workflows: { length: 10_000 }, isCut: true });
    expect(calls).toHaveLength(1);
  });
});
