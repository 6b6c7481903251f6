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
