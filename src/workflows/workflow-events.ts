/** A workflow was removed with all that was stored of it. Emitted after the database has let go of it. */
export interface WorkflowRemoved {
  readonly workflowId: string;
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'workflow.removed': WorkflowRemoved;
  }
}
