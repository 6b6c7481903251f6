/** Port: what the manager tells of its controllers. */
export interface ControllerMetrics {
  /** A round that ended by itself or was aborted for its time; `itemsProcessed` is 0 for a failed one. */
  recordReconcile(controller: string, itemsProcessed: number, durationMs: number, error?: unknown): void;
  /** Whether the controller's loop runs in this process; false for one that is registered and not started. */
  setControllerRunning(controller: string, running: boolean): void;
  incrementReconcileErrors(controller: string): void;
  /** Of the last round that succeeded: one that fails again and again stands still and can be alerted on. */
  setLastReconcileTime(controller: string, at: Date): void;
}

/** Injection token. */
export const CONTROLLER_METRICS = Symbol('controller metrics');

export class NoopControllerMetrics implements ControllerMetrics {
  recordReconcile(): void {}
  setControllerRunning(): void {}
  incrementReconcileErrors(): void {}
  setLastReconcileTime(): void {}
}
