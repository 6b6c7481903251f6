import fc from 'fast-check';
import { Double, Int32, Long } from 'bson';

type Doc = Record<string, unknown>;

/** One operation on one collection, as data: run on the store and on what it is compared with. */
export type Operation =
  | { readonly kind: 'insert'; readonly doc: Doc }
  | {
      readonly kind: 'update';
      readonly filter: Doc;
      readonly update: Doc | Doc[];
      readonly multi: boolean;
      readonly upsert: boolean;
      readonly arrayFilters?: Doc[];
    }
  | { readonly kind: 'replace'; readonly filter: Doc; readonly doc: Doc }
  | { readonly kind: 'delete'; readonly filter: Doc; readonly multi: boolean }
  | {
      readonly kind: 'findAndModify';
      readonly filter: Doc;
      readonly update: Doc | Doc[];
      readonly sort: Doc;
      readonly isAfter: boolean;
    }
  | {
      readonly kind: 'find';
      readonly filter: Doc;
      readonly sort: Doc;
      readonly skip: number;
      readonly limit: number;
      readonly projection: Doc;
    }
  | { readonly kind: 'count'; readonly filter: Doc }
  | { readonly kind: 'distinct'; readonly key: string; readonly filter: Doc }
  | { readonly kind: 'aggregate'; readonly pipeline: Doc[] };

const ids = fc.integer({ min: 1, max: 8 }).map((id) => new Int32(id));
const small = fc.integer({ min: -2, max: 4 });
const numbers = fc.oneof(
  { weight: 4, arbitrary: small.map((value) => new Int32(value)) },
  { weight: 1, arbitrary: small.map((value) => Long.fromNumber(value)) },
  { weight: 1, arbitrary: small.map((value) => new Double(value)) },
  { weight: 1, arbitrary: fc.constantFrom(new Double(1.5), new Int32(2147483647), Long.fromBigInt(2n ** 53n + 1n)) },
);
const text = fc.constantFrom('', 'a', 'ab', 'b');
const scalars = fc.oneof(
  { weight: 4, arbitrary: numbers },
  { weight: 2, arbitrary: text },
  fc.constantFrom(null, true, false, new Date(0), new Date(1000)),
);
const inner = fc.record({ x: scalars, y: numbers }, { requiredKeys: [], noNullPrototype: true });
const values = fc.oneof(
  { weight: 5, arbitrary: scalars },
  { weight: 2, arbitrary: fc.array(scalars, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(inner, { maxLength: 3 }) },
  { weight: 1, arbitrary: inner },
);
const paths = fc.constantFrom('a', 'b', 'c', 'c.x', 'c.y', 'a.0');
const topPaths = fc.constantFrom('a', 'b', 'c');

const documents = fc
  .tuple(
    ids,
    fc.record(
      { a: values, b: values, c: values, u: fc.constantFrom(1, 2, 3).map((u) => new Int32(u)) },
      { requiredKeys: [], noNullPrototype: true },
    ),
  )
  .map(([_id, rest]): Doc => ({ _id, ...rest }));

const comparison = fc
  .tuple(fc.constantFrom('$eq', '$ne', '$gt', '$gte', '$lt', '$lte'), scalars)
  .map(([operator, operand]): Doc => ({ [operator]: operand }));
const conditions: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: scalars },
  { weight: 4, arbitrary: comparison },
  fc.tuple(numbers, numbers).map(([a, b]) => ({ $gte: a, $lt: b })),
  fc.array(scalars, { maxLength: 3 }).map(($in) => ({ $in })),
  fc.array(scalars, { maxLength: 3 }).map(($nin) => ({ $nin })),
  fc.boolean().map(($exists) => ({ $exists })),
  fc.constantFrom('string', 'number', 'array', 'object', 'bool', 'date', 'null').map(($type) => ({ $type })),
  fc.integer({ min: 0, max: 3 }).map(($size) => ({ $size })),
  comparison.map(($not) => ({ $not })),
  comparison.map(($elemMatch) => ({ $elemMatch })),
  numbers.map((y) => ({ $elemMatch: { y } })),
  fc.array(scalars, { minLength: 1, maxLength: 2 }).map(($all) => ({ $all })),
  fc.constantFrom('^a', 'b$').map(($regex) => ({ $regex })),
  fc.constant({ $mod: [2, 0] }),
);
const simple = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(paths, conditions).map(([path, condition]): Doc => ({ [path]: condition })) },
  { weight: 2, arbitrary: ids.map((_id): Doc => ({ _id })) },
);
const filters: fc.Arbitrary<Doc> = fc.oneof(
  { weight: 6, arbitrary: simple },
  { weight: 1, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: fc.tuple(simple, simple).map(([a, b]): Doc => ({ ...a, ...b })) },
  { weight: 1, arbitrary: fc.array(simple, { minLength: 1, maxLength: 3 }).map(($or): Doc => ({ $or })) },
  { weight: 1, arbitrary: fc.array(simple, { minLength: 1, maxLength: 2 }).map(($and): Doc => ({ $and })) },
  { weight: 1, arbitrary: fc.array(simple, { minLength: 1, maxLength: 2 }).map(($nor): Doc => ({ $nor })) },
);

const modifications: fc.Arbitrary<Doc> = fc.oneof(
  fc.tuple(paths, values).map(([path, value]) => ({ $set: { [path]: value } })),
  fc
    .tuple(topPaths, topPaths, values, numbers)
    .map(([p, q, value, by]) => ({ $set: { [p]: value }, $inc: { [q]: by } })),
  paths.map((path) => ({ $unset: { [path]: '' } })),
  fc.tuple(paths, numbers).map(([path, by]) => ({ $inc: { [path]: by } })),
  fc.tuple(paths, numbers).map(([path, by]) => ({ $mul: { [path]: by } })),
  fc.tuple(topPaths, scalars).map(([path, value]) => ({ $min: { [path]: value } })),
  fc.tuple(topPaths, scalars).map(([path, value]) => ({ $max: { [path]: value } })),
  fc.tuple(topPaths, scalars).map(([path, value]) => ({ $push: { [path]: value } })),
  fc
    .tuple(topPaths, fc.array(numbers, { maxLength: 3 }), fc.integer({ min: -3, max: 3 }), fc.constantFrom(1, -1))
    .map(([path, $each, $slice, $sort]) => ({ $push: { [path]: { $each, $slice, $sort } } })),
  fc
    .tuple(topPaths, fc.array(scalars, { maxLength: 3 }))
    .map(([path, $each]) => ({ $addToSet: { [path]: { $each } } })),
  fc.tuple(topPaths, comparison).map(([path, condition]) => ({ $pull: { [path]: condition } })),
  fc.tuple(topPaths, scalars).map(([path, value]) => ({ $pull: { [path]: value } })),
  fc.tuple(topPaths, fc.array(scalars, { maxLength: 2 })).map(([path, list]) => ({ $pullAll: { [path]: list } })),
  fc.tuple(topPaths, fc.constantFrom(1, -1)).map(([path, end]) => ({ $pop: { [path]: end } })),
  fc.constantFrom(['a', 'b'], ['b', 'd'], ['c.x', 'd']).map(([from, to]) => ({ $rename: { [from as string]: to } })),
  scalars.map((value) => ({ $set: { u: new Int32(3) }, $setOnInsert: { z: value } })),
  fc.constantFrom<Doc>(
    { $set: { _id: new Int32(99) } },
    { $unknown: { a: 1 } },
    { $set: { a: 1, 'a.b': 2 } },
    { $set: { 'c.$[].y': 7 } },
  ),
);
const pipelines: fc.Arbitrary<Doc[]> = fc.oneof(
  scalars.map((value) => [{ $set: { d: { $literal: value } } }]),
  fc.constant<Doc[]>([{ $set: { d: { $cond: [{ $gt: ['$a', 1] }, 'more', '$a'] } } }]),
  numbers.map((by) => [{ $set: { d: { $cond: [{ $isNumber: '$a' }, { $add: ['$a', by] }, { $type: '$a' }] } } }]),
  fc.constant<Doc[]>([{ $set: { d: { $ifNull: ['$c.x', 'none'] } } }, { $unset: 'b' }]),
);

const sorts = fc.oneof(
  fc.tuple(topPaths, fc.constantFrom(1, -1)).map(([path, direction]): Doc => ({ [path]: direction, _id: 1 })),
  fc.constantFrom(1, -1).map((_id): Doc => ({ _id })),
);
const projections = fc.constantFrom<Doc>({}, { a: 1 }, { _id: 0, a: 1, 'c.x': 1 }, { b: 0 }, { 'c.y': 0 });
const stages: fc.Arbitrary<Doc[]> = fc.oneof(
  filters.map(($match) => [{ $match }, { $sort: { _id: 1 } }, { $limit: 3 }]),
  topPaths.map((path) => [
    { $group: { _id: `$${path}`, n: { $sum: 1 }, s: { $sum: '$u' }, most: { $max: '$u' } } },
    { $sort: { n: 1, s: 1, most: 1 } },
    { $project: { n: 1, s: 1, most: 1, _id: 0 } },
  ]),
  topPaths.map((path) => [{ $sort: { _id: 1 } }, { $unwind: `$${path}` }, { $project: { v: `$${path}` } }]),
  filters.map(($match) => [{ $match }, { $count: 'n' }]),
  fc.constant<Doc[]>([{ $bogus: 1 }]),
);

const targets = fc.tuple(ids, filters).map(([_id, filter]): Doc => ({ ...filter, _id }));

/** A single change names its document: which one of several a server takes is its own affair. */
export const operations: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: documents.map((doc): Operation => ({ kind: 'insert', doc })) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(filters, modifications)
      .map(([filter, update]): Operation => ({ kind: 'update', filter, update, multi: true, upsert: false })),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(targets, modifications)
      .map(([filter, update]): Operation => ({ kind: 'update', filter, update, multi: false, upsert: false })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(ids, numbers, values).map(([_id, low, value]): Operation => ({
      kind: 'update',
      filter: { _id },
      update: { $set: { 'a.$[e]': value } },
      multi: false,
      upsert: false,
      arrayFilters: [{ e: { $gte: low } }],
    })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(ids, numbers, values).map(([_id, low, value]): Operation => ({
      kind: 'update',
      filter: { _id, a: { $elemMatch: { $gte: low } } },
      update: { $set: { 'a.$': value } },
      multi: false,
      upsert: false,
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(ids, modifications)
      .map(([_id, update]): Operation => ({ kind: 'update', filter: { _id }, update, multi: false, upsert: true })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(filters, pipelines)
      .map(([filter, update]): Operation => ({ kind: 'update', filter, update, multi: true, upsert: false })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(targets, values).map(([filter, a]): Operation => ({ kind: 'replace', filter, doc: { a } })),
  },
  { weight: 1, arbitrary: targets.map((filter): Operation => ({ kind: 'delete', filter, multi: false })) },
  { weight: 1, arbitrary: filters.map((filter): Operation => ({ kind: 'delete', filter, multi: true })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(filters, modifications, sorts, fc.boolean())
      .map(([filter, update, sort, isAfter]): Operation => ({ kind: 'findAndModify', filter, update, sort, isAfter })),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(filters, sorts, fc.nat(2), fc.nat(3), projections)
      .map(([filter, sort, skip, limit, projection]): Operation => ({
        kind: 'find',
        filter,
        sort,
        skip,
        limit,
        projection,
      })),
  },
  { weight: 2, arbitrary: filters.map((filter): Operation => ({ kind: 'count', filter })) },
  {
    weight: 1,
    arbitrary: fc.tuple(topPaths, filters).map(([key, filter]): Operation => ({ kind: 'distinct', key, filter })),
  },
  { weight: 2, arbitrary: stages.map((pipeline): Operation => ({ kind: 'aggregate', pipeline })) },
);
