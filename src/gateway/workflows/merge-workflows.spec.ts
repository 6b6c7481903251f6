import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import fc from 'fast-check';
import { FakeSubsystemDirectory } from '../../../test/support/fake-subsystem-directory.js';
import { WorkflowDefinitionSchema } from '../gen/flowwatch/v1/types_pb.js';
import {
  type ListedWorkflow,
  type WorkflowKey,
  sharedWorkflowIds,
  workflowKey,
  workflowPage,
} from './merge-workflows.js';
import { decodeWorkflowCursor, encodeWorkflowCursor } from './workflow-cursor.js';

const directory = new FakeSubsystemDirectory();
const subsystems = ['a', 'b', 'c'].map((id) => directory.add({ id }));
const anyText = fc.constantFrom('', 'order', 'pay', 'é', '\u{1F600}', 'zzz');

function listed(index: number, name: string, id: string): ListedWorkflow {
  const subsystem = subsystems[index];
  if (!subsystem) throw new RangeError(`no subsystem ${index}`);
  return { subsystem, workflow: create(WorkflowDefinitionSchema, { id, name }) };
}

const anyList = fc.uniqueArray(
  fc.tuple(fc.nat(2), anyText, fc.nat(20)).map(([index, name, id]) => listed(index, name, String(id))),
  { maxLength: 40, selector: ({ subsystem, workflow }) => `${subsystem.id} ${workflow.id}` },
);

/** Goes through all pages; the list may change before each. */
function pages(listAt: (page: number) => readonly ListedWorkflow[], limit: number): WorkflowKey[] {
  const seen: WorkflowKey[] = [];
  let after: WorkflowKey | undefined;
  for (let page = 0; ; page += 1) {
    const { items, upTo } = workflowPage(listAt(page), after, limit);
    seen.push(...items.map(workflowKey));
    if (!upTo) return seen;
    after = decodeWorkflowCursor(encodeWorkflowCursor(upTo));
  }
}

describe('the list of workflows', () => {
  it('shows each once, whatever the pages and the order they come in', () => {
    fc.assert(
      fc.property(anyList, fc.integer({ min: 1, max: 9 }), fc.nat(), (list, limit, turn) => {
        const turned = [...list.slice(turn % (list.length + 1)), ...list.slice(0, turn % (list.length + 1))];
        const seen = pages(() => turned, limit);
        expect(seen).toEqual(workflowPage(list, undefined, list.length + 1).items.map(workflowKey));
        expect(seen).toHaveLength(list.length);
      }),
    );
  });

  it('repeats none and leaves out none that stays while a subsystem joins or leaves', () => {
    fc.assert(
      fc.property(anyList, fc.integer({ min: 1, max: 5 }), fc.nat(4), (list, limit, changeAt) => {
        const without = list.filter(({ subsystem }) => subsystem.id !== 'b');
        for (const [before, after] of [[list, without] as const, [without, list] as const]) {
          const seen = pages((page) => (page < changeAt ? before : after), limit).map((key) => JSON.stringify(key));
          expect(new Set(seen).size).toBe(seen.length);
          const staying = without.map((item) => JSON.stringify(workflowKey(item)));
          expect(staying.filter((key) => !seen.includes(key))).toEqual([]);
        }
      }),
    );
  });

  it('knows the ids that several subsystems have', () => {
    const list = [listed(0, 'x', '1'), listed(1, 'y', '1'), listed(1, 'z', '2')];
    expect([...sharedWorkflowIds(list)]).toEqual(['1']);
  });

  it.each([
    '2abc',
    '1',
    '1!',
    '1bm9uZQ',
    `1${Buffer.from('["a","b"]').toString('base64url')}`,
    `1${'a'.repeat(70_000)}`,
  ])('refuses the cursor %.20s', (cursor) => {
    let thrown: unknown;
    try {
      decodeWorkflowCursor(cursor);
    } catch (error) {
      thrown = error;
    }
    expect(ConnectError.from(thrown).code).toBe(Code.InvalidArgument);
  });
});
