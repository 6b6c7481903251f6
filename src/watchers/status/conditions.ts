import { readMessage, readObject, readObjects, readText, readTime } from './json-reader.js';

/** One entry of `status.conditions`. */
export interface Condition {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string | null;
  readonly message: string | null;
  /** lastTransitionTime, milliseconds since the epoch. */
  readonly since: number | null;
}

/** The condition of that type in an object's raw status, null when it is not set. */
export function readCondition(status: unknown, type: string): Condition | null {
  const raw = readObjects(readObject(status).conditions).find((each) => each.type === type);
  if (raw === undefined) return null;
  return {
    status: raw.status === 'True' ? 'True' : raw.status === 'False' ? 'False' : 'Unknown',
    reason: readText(raw.reason, 100),
    message: readMessage(raw.message),
    since: readTime(raw.lastTransitionTime),
  };
}

/** Like `readCondition`, but only while it is True: most conditions say nothing otherwise. */
export function readTrueCondition(status: unknown, type: string): Condition | null {
  const condition = readCondition(status, type);
  return condition?.status === 'True' ? condition : null;
}

/** The first of the types that is True. */
export function readFirstTrueCondition(status: unknown, types: readonly string[]): Condition | null {
  for (const type of types) {
    const condition = readTrueCondition(status, type);
    if (condition !== null) return { ...condition, reason: condition.reason ?? type };
  }
  return null;
}
