/** What is wrong with one value, as the end of a sentence about it. Never quotes it: most are secret. */
export class FieldProblem extends Error {}
