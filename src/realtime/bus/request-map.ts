/**
 * Request type to its question and the answer that each responder gives: the compile-time contract of `request` and
 * `respond`. Each room declares its own, as in the event map:
 *
 *     declare module '../realtime/bus/request-map.js' {
 *       interface RequestMap { 'workflow.validate': { request: ValidateWorkflow; answer: Verdict } }
 *     }
 */
// eslint-disable-next-line typescript/no-empty-object-type -- filled by declaration merging.
export interface RequestMap {}

export type RequestType = keyof RequestMap;

/** What is asked in a request of the type. */
export type RequestOf<T extends RequestType> = RequestMap[T] extends { request: infer Question } ? Question : never;

/** What one responder answers to a request of the type. */
export type AnswerOf<T extends RequestType> = RequestMap[T] extends { answer: infer Answer } ? Answer : never;

/** The event that scatters a request. */
export type RequestEventType = `request:${string}`;

/** The question itself stays with the asker: it may be large or confidential, and events are kept and shown. */
export interface RequestScattered {
  readonly requestId: number;
  /** Names of those whose answers count. */
  readonly responders: readonly string[];
}
