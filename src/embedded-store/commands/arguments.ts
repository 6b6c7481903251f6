import { CommandError, badValue, typeMismatch } from '../command-error.js';
import { type Doc, asInteger, decode, isDoc, isTruthy, typeOf } from '../query/bson-types.js';
import type { Variables } from '../query/compiled-expression.js';
import type { CommandContext, CommandRequest } from './command.js';

/** `database.collection` of a command whose first field names the collection. Throws InvalidNamespace (73). */
export function namespaceOf(request: CommandRequest): string {
  const name = request.body[request.name];
  if (typeof name !== 'string' || name === '')
    throw new CommandError(73, `collection name has invalid type or is empty: ${typeOf(name)}`);
  return `${request.database}.${name}`;
}

export function optionalDoc(body: Doc, field: string): Doc | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (!isDoc(value)) throw typeMismatch(`field '${field}' must be an object, not ${typeOf(value)}`);
  return value;
}

/** A non-negative whole number; `otherwise` if the field is absent. */
export function wholeNumber(body: Doc, field: string, otherwise: number): number {
  const value = body[field];
  if (value === undefined || value === null) return otherwise;
  const number = asInteger(value);
  if (number === undefined) throw typeMismatch(`field '${field}' must be a whole number, not ${typeOf(value)}`);
  if (number < 0) throw new CommandError(51024, `field '${field}' must be >= 0, got ${number}`);
  return number;
}

export const flag = (body: Doc, field: string, otherwise = false): boolean =>
  body[field] === undefined ? otherwise : isTruthy(body[field]);

/** A list that came as section kind 1 or as array in the body. */
export function documentList(request: CommandRequest, field: string): Doc[] {
  const raw = request.sequences.get(field);
  if (raw) return raw.map((bytes) => decode(bytes));
  const list = request.body[field];
  if (!Array.isArray(list)) throw typeMismatch(`field '${field}' must be an array, not ${typeOf(list)}`);
  for (const item of list) if (!isDoc(item)) throw typeMismatch(`field '${field}' must hold objects`);
  return list as Doc[];
}

/** Refuses what changes a result and is not built, rather than answer wrongly. */
export function refuseUnsupported(options: Doc): void {
  const { collation } = options;
  if (isDoc(collation) && Object.keys(collation).length > 0 && collation.locale !== 'simple') {
    throw badValue('collations other than {locale: "simple"} are not supported by the embedded store');
  }
}

/** `let` and `$$NOW`. */
export function variablesOf(body: Doc, context: CommandContext): Variables {
  return { ...optionalDoc(body, 'let'), NOW: context.now };
}
