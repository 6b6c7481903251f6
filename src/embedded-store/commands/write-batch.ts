import { Int32 } from 'bson';
import { CommandError, typeMismatch } from '../command-error.js';
import { type Doc, decode, isDoc, typeOf } from '../query/bson-types.js';
import { flag } from './arguments.js';
import type { CommandContext, CommandRequest, Steps } from './command.js';

/** MongoDB manual, "Limits": operations in one batch. */
const MAX_BATCH = 100_000;
const MAX_TIME_EXPIRED = 50;

/** The statements of a write, decoded one at a time. */
export interface Statements {
  readonly count: number;
  at(index: number): Doc;
}

/** A list that came as section kind 1 or as array in the body. Throws TypeMismatch (14). */
export function statementsOf(request: CommandRequest, field: string): Statements {
  const raw = request.sequences.get(field);
  if (raw) return { count: raw.length, at: (index) => decode(raw[index] as Uint8Array) };
  const list = request.body[field];
  if (!Array.isArray(list)) throw typeMismatch(`field '${field}' must be an array, not ${typeOf(list)}`);
  if (!list.every(isDoc)) throw typeMismatch(`field '${field}' must hold objects`);
  return { count: list.length, at: (index) => list[index] as Doc };
}

/**
 * Runs each statement, with a pause between two where the slice is over; one that fails is told in `writeErrors`, and in an ordered
 * batch is the last. After `maxTimeMS` no batch goes on.
 */
export function* eachStatement(
  request: CommandRequest,
  { limits }: CommandContext,
  count: number,
  run: (index: number) => Steps<void> | undefined,
): Steps<Doc> {
  if (count === 0 || count > MAX_BATCH)
    throw new CommandError(16, `a write batch holds 1 to ${MAX_BATCH} operations, ${count} given`);
  const isOrdered = flag(request.body, 'ordered', true);
  const writeErrors: Doc[] = [];
  for (let index = 0; index < count; index++) {
    try {
      if (index > 0 && limits.isSliceOver()) {
        yield;
        limits.check();
      }
      const steps = run(index);
      if (steps) yield* steps;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      writeErrors.push({
        index: new Int32(index),
        code: new Int32(error.code),
        errmsg: error.message,
        ...error.details,
      });
      if (isOrdered || error.code === MAX_TIME_EXPIRED) break;
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {};
}
