import { expect, it } from '@jest/globals';
import { counted, ofCounted } from './counted.js';

it('counts one thing as one', () => {
  expect([0, 1, 2].map((count) => counted(count, 'node'))).toEqual(['0 nodes', '1 node', '2 nodes']);
  expect([counted(1, 'entry', 'entries'), counted(2, 'entry', 'entries')]).toEqual(['1 entry', '2 entries']);
  expect([ofCounted(0, 1, 'pod'), ofCounted(1, 4, 'pod')]).toEqual(['0 of 1 pod is', '1 of 4 pods are']);
});
