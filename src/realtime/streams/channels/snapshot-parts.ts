import type { StreamItem } from '../stream-topic.js';

/** `data` of a `snapshot` event. The state is that of all parts together, from part 1 to the one that is `last`. */
export interface SnapshotPart {
  /** From 1. With part 1 a client forgets what it held of the key. */
  readonly part: number;
  readonly last: boolean;
  /** Each as the event named `eventType` would bring it. */
  readonly items: readonly Pick<StreamItem, 'entity' | 'eventType' | 'data'>[];
}

/** Upper bound of the items' JSON in one part; an item larger than this is alone in its part. */
export const SNAPSHOT_PART_BYTES = 63 * 1_024;

/** Cuts a snapshot into parts, at least one, each made when it is asked for, as the JSON of a `SnapshotPart`. */
export function* snapshotParts(items: readonly StreamItem[], maxBytes = SNAPSHOT_PART_BYTES): Generator<string> {
  let current: string[] = [];
  let bytes = 0;
  let part = 1;
  const json = (last: boolean): string => `{"part":${part},"last":${last},"items":[${current.join(',')}]}`;
  for (const { entity, eventType, data } of items) {
    const item = JSON.stringify({ entity, eventType, data });
    const size = Buffer.byteLength(item) + 1;
    if (current.length > 0 && bytes + size > maxBytes) {
      yield json(false);
      part += 1;
      current = [];
      bytes = 0;
    }
    current.push(item);
    bytes += size;
  }
  yield json(true);
}
