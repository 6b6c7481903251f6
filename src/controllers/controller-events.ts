/** A round has ended. One event for each, whether it changed something or not. */
export interface ControllerReconciled {
  readonly name: string;
  readonly epoch: number;
  readonly outcome: 'success' | 'failure';
  readonly processed: number;
  readonly changed: number;
  readonly durationMs: number;
  /** The first is 1. */
  readonly consecutiveErrors: number;
}

export interface ControllerChanged {
  readonly name: string;
  readonly change: 'paused' | 'resumed';
  /** Id of the principal. */
  readonly by: string;
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'controller.reconciled': ControllerReconciled;
    'controller.changed': ControllerChanged;
  }
}
