import { CommandError } from '../command-error.js';
import { type Doc, getField, isDoc, setField } from './bson-types.js';
import type { Expression, Variables } from './compiled-expression.js';
import { compileExpression } from './expression.js';

function setIn(value: unknown, parts: readonly string[], at: number, computed: unknown): unknown {
  const part = parts[at];
  if (part === undefined) return computed;
  if (Array.isArray(value)) return value.map((item) => setIn(item, parts, at, computed));
  const result: Doc = isDoc(value) ? { ...value } : {};
  const next = at === parts.length - 1 ? computed : setIn(getField(result, part), parts, at + 1, computed);
  if (next === undefined) delete result[part];
  else setField(result, part, next);
  return result;
}

/** A copy of `doc` with the path set as `$set` stages do: in each element of an array; undefined removes the field. */
export function setComputed(doc: Doc, parts: readonly string[], value: unknown): Doc {
  return setIn(doc, parts, 0, value) as Doc;
}

/** Opens `{a: {b: 1}}` to `a.b`, as `$set` and `$addFields` do; operators and empty objects are values. */
function flatten(spec: Doc, prefix = ''): Array<[string, unknown]> {
  return Object.entries(spec).flatMap(([name, value]): Array<[string, unknown]> => {
    if (prefix === '' && name.startsWith('$'))
      throw new CommandError(16410, `field path '${name}' must not start with '$'`);
    const isNested = isDoc(value) && Object.keys(value).length > 0 && !Object.keys(value)[0]?.startsWith('$');
    return isNested ? flatten(value, `${prefix}${name}.`) : [[prefix + name, value]];
  });
}

/** The stage `$set` (`$addFields`): every expression sees the document as it was before the stage. */
export function compileSetStage(spec: unknown): (doc: Doc, variables?: Variables) => Doc {
  if (!isDoc(spec)) throw new CommandError(40272, '$set specification must be an object');
  const fields = flatten(spec).map(([path, value]): [string[], Expression] => [
    path.split('.'),
    compileExpression(value),
  ]);
  return (doc, variables) => {
    // Copied once for all fields; what is nested is copied where it changes.
    const result: Doc = { ...doc };
    for (const [[first = '', ...rest], evaluate] of fields) {
      const computed = evaluate(doc, variables);
      const next = rest.length === 0 ? computed : setIn(getField(result, first), rest, 0, computed);
      if (next !== undefined) setField(result, first, next);
      else if (Object.hasOwn(result, first)) delete result[first];
    }
    return result;
  };
}

/** The stage `$unset`: a path or a list of paths. */
export function unsetPaths(spec: unknown): Doc {
  const paths: unknown[] = Array.isArray(spec) ? spec : [spec];
  if (paths.length === 0 || !paths.every((path) => typeof path === 'string' && path !== '')) {
    throw new CommandError(31002, '$unset needs a field name or an array of field names');
  }
  return Object.fromEntries(paths.map((path) => [path as string, false]));
}

/** The stages `$replaceRoot` (`{newRoot}`) and `$replaceWith`. Throws 40228 when the new root is no document. */
export function compileReplaceRoot(expression: unknown): (doc: Doc, variables?: Variables) => Doc {
  const evaluate = compileExpression(expression);
  return (doc, variables) => {
    const root = evaluate(doc, variables);
    if (!isDoc(root)) throw new CommandError(40228, "'newRoot' expression must evaluate to an object");
    return root;
  };
}
