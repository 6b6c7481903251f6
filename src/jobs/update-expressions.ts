/** A value that the database computes within an update. */
export type Expression = unknown;

/** User's text as a value: `$…` would be read as a field. */
export const literal = (value: unknown): Expression => ({ $literal: value });
export const plus = (a: Expression, b: Expression): Expression => ({ $add: [a, b] });
export const cond = (test: Expression, yes: Expression, no: Expression): Expression => ({ $cond: [test, yes, no] });
