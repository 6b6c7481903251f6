import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { findCycle, type GraphEdge } from './graph.js';

const edge = (source: string, target: string): GraphEdge => ({ source, target });

/** Edges that only lead forward in the order of the ids: such a graph has no cycle. */
const acyclic = fc.integer({ min: 1, max: 12 }).chain((size) => {
  const ids = Array.from({ length: size }, (_, index) => `n${index}`);
  const pair = fc.tuple(fc.nat(size - 1), fc.nat(size - 1));
  return fc.record({
    ids: fc.shuffledSubarray(ids, { minLength: size }),
    edges: fc
      .array(pair, { maxLength: 30 })
      .map((pairs) => pairs.filter(([a, b]) => a < b).map(([a, b]) => edge(`n${a}`, `n${b}`))),
  });
});

describe('findCycle', () => {
  it('names the ids along the cycle and leaves out what leads to it and away from it', () => {
    const edges = [edge('in', 'a'), edge('a', 'b'), edge('b', 'c'), edge('c', 'a'), edge('c', 'out')];
    const cycle = findCycle(['in', 'a', 'b', 'c', 'out'], edges);
    expect(new Set(cycle)).toEqual(new Set(['a', 'b', 'c']));
    expect(cycle).toHaveLength(4);
  });

  it('finds none without one', () => {
    fc.assert(fc.property(acyclic, ({ ids, edges }) => expect(findCycle(ids, edges)).toBeNull()));
  });

  it('finds a real cycle in any graph that has one', () => {
    const cyclic = fc.tuple(acyclic, fc.nat(), fc.nat()).filter(([{ ids }]) => ids.length > 1);
    fc.assert(
      fc.property(cyclic, ([{ ids, edges }, a, b]) => {
        const [first, second] = [ids[a % ids.length], ids[b % ids.length]];
        fc.pre(first !== undefined && second !== undefined && first !== second);
        const all = [...edges, edge(first, second), edge(second, first)];
        const cycle = findCycle(ids, all) ?? [];
        expect(cycle.length).toBeGreaterThan(1);
        expect(cycle.at(0)).toBe(cycle.at(-1));
        expect(new Set(cycle).size).toBe(cycle.length - 1);
        cycle.slice(1).forEach((target, index) => {
          expect(all.some((each) => each.source === cycle[index] && each.target === target)).toBe(true);
        });
      }),
    );
  });
});
