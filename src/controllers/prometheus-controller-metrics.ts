import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ControllerMetrics } from './controller-metrics.js';

/**
 * `<namespace>_controller_*` in the registry given, one set for each registry. Every series of a controller stands at 0
 * from its first `setControllerRunning`, so that an alert on a rate sees the first failure.
 */
export class PrometheusControllerMetrics implements ControllerMetrics {
  private readonly rounds: Counter<'controller' | 'result'>;
  private readonly errors: Counter<'controller'>;
  private readonly durations: Histogram<'controller'>;
  private readonly items: Counter<'controller'>;
  private readonly running: Gauge<'controller'>;
  private readonly lastReconcile: Gauge<'controller'>;
  private readonly known = new Set<string>();

  constructor(registry: Registry, namespace: string) {
    const registers = [registry];
    const name = (what: string): string => `${namespace}_controller_${what}`;
    const labelNames = ['controller'] as const;
    this.rounds = new Counter({
      name: name('reconcile_total'),
      help: 'Rounds of a controller by their result.',
      labelNames: ['controller', 'result'],
      registers,
    });
    this.errors = new Counter({
      name: name('reconcile_errors_total'),
      help: 'Rounds of a controller that failed.',
      labelNames,
      registers,
    });
    this.durations = new Histogram({
      name: name('reconcile_duration_seconds'),
      help: 'Time of one round of a controller.',
      labelNames,
      buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300],
      registers,
    });
    this.items = new Counter({
      name: name('items_processed_total'),
      help: 'Items that rounds of a controller have looked at.',
      labelNames,
      registers,
    });
    this.running = new Gauge({
      name: name('running'),
      help: 'Whether the loop of a controller runs in this process, as leader or waiting for the lead.',
      labelNames,
      registers,
    });
    this.lastReconcile = new Gauge({
      name: name('last_reconcile_timestamp_seconds'),
      help: 'End of the last round of a controller that succeeded in this process; 0 before the first.',
      labelNames,
      registers,
    });
  }

  recordReconcile(controller: string, itemsProcessed: number, durationMs: number, error?: unknown): void {
    this.rounds.inc({ controller, result: error === undefined ? 'success' : 'error' });
    this.durations.observe({ controller }, durationMs / 1_000);
    this.items.inc({ controller }, itemsProcessed);
  }

  setControllerRunning(controller: string, running: boolean): void {
    if (!this.known.has(controller)) this.addSeries(controller);
    this.running.set({ controller }, running ? 1 : 0);
  }

  incrementReconcileErrors(controller: string): void {
    this.errors.inc({ controller });
  }

  setLastReconcileTime(controller: string, at: Date): void {
    this.lastReconcile.set({ controller }, at.getTime() / 1_000);
  }

  private addSeries(controller: string): void {
    this.known.add(controller);
    for (const result of ['success', 'error']) this.rounds.inc({ controller, result }, 0);
    this.errors.inc({ controller }, 0);
    this.items.inc({ controller }, 0);
    this.durations.zero({ controller });
    this.lastReconcile.set({ controller }, 0);
  }
}
