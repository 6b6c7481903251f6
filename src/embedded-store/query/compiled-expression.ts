export type Variables = Readonly<Record<string, unknown>>;

/** Evaluates on a document; undefined is a missing value. */
export type Expression = (root: unknown, variables?: Variables) => unknown;

/** What an operator's argument is compiled with. */
export type Compile = (expression: unknown) => Expression;

/** Compiles an operator's argument into its evaluation. */
export type OperatorCompiler = (argument: unknown, compile: Compile) => Expression;
