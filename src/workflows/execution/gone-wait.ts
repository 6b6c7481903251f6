import { Inject, Injectable } from '@nestjs/common';
import {
  getMetadata,
  type KubernetesApi,
  KubernetesApiError,
  type ObjectMeta,
  type ObjectReference,
} from '../../kubernetes/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { ResourcesService } from '../../watchers/index.js';
import type { RunSignals } from './run-driver.js';

/** Between two looks of our own, which serve where no watch may tell. */
const FIRST_LOOK_MS = 1_000;
const MAX_LOOK_MS = 15_000;
/** For the watch to see the end too, so that the resource's last word is `deleted`. */
const WATCH_GRACE_MS = 5_000;

export interface Departing {
  readonly api: KubernetesApi;
  readonly reference: ObjectReference;
  readonly uid: string;
  readonly workflowId: string;
  readonly nodeId: string;
  readonly until: Date;
}

export type GoneEnd =
  { readonly gone: true } | { readonly gone: false; readonly finalizers: readonly string[]; readonly why: string };

/** Waits until an object that was told to go is gone. */
@Injectable()
export class GoneWait {
  constructor(
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'ofWorkflow' | 'waitForGone'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Rejects with a StopReason when the service stops. */
  async wait(object: Departing, signals: RunSignals): Promise<GoneEnd> {
    const { stop, cancel } = signals;
    const over = new AbortController();
    const watched = this.watch(object, AbortSignal.any([stop, over.signal]));
    // Its failure is told by the race that waits for it, if one still does.
    watched.catch(() => undefined);
    try {
      for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(lookMs * 2, MAX_LOOK_MS)) {
        const remainingMs = object.until.getTime() - this.clock.now();
        const isOver = remainingMs <= 0 || cancel.aborted;
        if (!isOver) {
          const look = this.pause(Math.min(lookMs, remainingMs), [stop, cancel, over.signal]);
          await Promise.race([watched, look]);
        }
        stop.throwIfAborted();
        const existing = await this.look(object, signals);
        if (existing === 'gone') {
          await Promise.race([watched, this.pause(WATCH_GRACE_MS, [stop, over.signal])]);
          return { gone: true };
        }
        if (isOver) {
          const finalizers = existing === 'unknown' ? [] : (existing.finalizers ?? []);
          return { gone: false, finalizers, why: cancel.aborted ? '; the run was cancelled' : '' };
        }
      }
    } finally {
      over.abort();
    }
  }

  /** Resolves when the watch has told the end. Never when nothing watches the object. */
  private async watch({ workflowId, nodeId, reference, uid }: Departing, signal: AbortSignal): Promise<void> {
    const { definition, name } = reference;
    const resource = (await this.resources.ofWorkflow(workflowId)).find((each) => each.nodeId === nodeId);
    if (resource?.kind === definition.kind && resource.name === name) {
      try {
        await this.resources.waitForGone(resource.id, uid, signal);
        return;
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
    await new Promise<never>(() => undefined);
  }

  private async look(
    { api, reference, uid }: Departing,
    { cut }: RunSignals,
  ): Promise<ObjectMeta | 'gone' | 'unknown'> {
    try {
      const existing = await getMetadata(api, reference, cut);
      return existing === undefined || existing.uid !== uid ? 'gone' : existing;
    } catch (error) {
      cut.throwIfAborted();
      // The next look may be answered; at the end it is said that the object's end was not seen.
      if (error instanceof KubernetesApiError) return 'unknown';
      throw error;
    }
  }

  /** Ends early and quietly when one of the signals does: the caller looks at them. */
  private async pause(delayMs: number, signals: readonly AbortSignal[]): Promise<void> {
    const signal = AbortSignal.any([...signals]);
    await this.clock.sleep(delayMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
