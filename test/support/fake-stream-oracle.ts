import { expect } from '@jest/globals';
import type { ParsedEvent } from './event-stream-parser.js';
import type { Envelope } from './fake-stream-client.js';

interface Version {
  readonly entity: string;
  readonly version: number;
}

interface Knowledge {
  readonly versions: Map<string, number>;
  /** Of the last snapshot. */
  shown: Map<string, number>;
  /** Changes since the last snapshot, in their order. */
  changes: Version[];
  /** It was slow since the last snapshot, so superseded states may be left out. */
  isSparse: boolean;
}

/** A client that does as the documentation says, over all its connections. Throws on a repeat, a step back or a gap. */
export class StreamOracle {
  /** As an EventSource sends it. */
  lastEventId = '';
  private readonly known = new Map<string, Knowledge>();
  /** Ids grow within an epoch. */
  private last = { epoch: '', sequence: 0 };
  /** A snapshot of everything must come before any change. */
  private isDue = true;
  private isSlow = false;

  connected(): void {
    // Only with an id that can be resumed from may the state be taken to be whole.
    if (this.lastEventId === '' || this.lastEventId.endsWith('.0')) this.isDue = true;
    this.isSlow = false;
  }

  wasSlow(): void {
    this.isSlow = true;
    for (const knowledge of this.known.values()) knowledge.isSparse = true;
  }

  see({ data, lastEventId, type }: ParsedEvent): void {
    this.expectGrowing(lastEventId);
    this.lastEventId = lastEventId;
    const { streamKey, eventType, data: payload } = JSON.parse(data) as Envelope;
    expect(eventType).toBe(type);
    if (type === 'snapshot') this.seeSnapshot(streamKey, payload as never);
    else if (type === 'node_update') this.seeChange(streamKey, payload as never);
    else if (type === 'lagged') {
      expect(payload.dropped).toBeGreaterThan(0);
      this.isDue = true;
    } else expect(type).toBe('heartbeat');
    if (type === 'heartbeat') expect(this.isDue).toBe(false);
  }

  stateOf(streamKey: string): ReadonlyMap<string, number> | undefined {
    return this.known.get(streamKey)?.versions;
  }

  /** Since the last snapshot each newer version that was published came once, unless the client was slow. */
  expectWhole(streamKey: string, published: readonly (Version & { readonly key: string })[]): void {
    const knowledge = this.known.get(streamKey);
    if (!knowledge || knowledge.isSparse) return;
    const newest = new Map<string, number>();
    for (const { key, entity, version } of published) {
      if (key !== streamKey || version <= (newest.get(entity) ?? 0)) continue;
      newest.set(entity, version);
      if (version <= (knowledge.shown.get(entity) ?? 0)) continue;
      expect(knowledge.changes.filter((each) => each.entity === entity && each.version === version)).toHaveLength(1);
    }
  }

  private expectGrowing(id: string): void {
    const [epoch = '', digits] = id.split('.');
    const sequence = Number(digits);
    if (sequence === 0) return;
    if (epoch === this.last.epoch) expect(sequence).toBeGreaterThanOrEqual(this.last.sequence);
    this.last = { epoch, sequence };
  }

  private seeSnapshot(streamKey: string, { part, items }: { part: number; items: { data: Version }[] }): void {
    const before = this.known.get(streamKey);
    const continued = part === 1 ? undefined : before;
    const versions = continued?.versions ?? new Map<string, number>();
    for (const { data } of items) {
      expect(data.version).toBeGreaterThanOrEqual(before?.versions.get(data.entity) ?? 0);
      versions.set(data.entity, data.version);
    }
    for (const entity of before?.versions.keys() ?? []) expect(versions.has(entity)).toBe(true);
    this.known.set(streamKey, { versions, shown: new Map(versions), changes: [], isSparse: this.isSlow });
    this.isDue = false;
  }

  private seeChange(streamKey: string, { entity, version }: Version): void {
    expect(this.isDue).toBe(false);
    const knowledge = this.known.get(streamKey);
    expect(version).toBeGreaterThan(knowledge?.versions.get(entity) ?? 0);
    knowledge?.versions.set(entity, version);
    knowledge?.changes.push({ entity, version });
  }
}
