import { Injectable, Logger } from '@nestjs/common';
import { StandingPrincipals } from '../../auth/index.js';
import { PeriodicTasks } from '../../lifecycle/index.js';
import type { PeriodicTask } from '../../runtime/periodic-task.js';
import type { Runnable } from '../../runtime/runnable.js';
import { SseBroadcaster } from './sse-broadcaster.js';

/** A stream outlives the rights of its reader by no more than this and the time of one look. */
const PERIOD_MS = 3_000;

/** Looks again and again whether the readers of open streams still may. */
@Injectable()
export class StreamRevocations implements Runnable {
  readonly name = 'stream revocations';
  private readonly log = new Logger(StreamRevocations.name);
  private readonly task: PeriodicTask;

  constructor(broadcaster: SseBroadcaster, principals: StandingPrincipals, tasks: PeriodicTasks) {
    this.task = tasks.create({
      name: this.name,
      periodMs: PERIOD_MS,
      runOnce: () => broadcaster.cutRevoked((principal) => principals.stands(principal)),
      onError: (error) => this.log.warn({ message: 'the rights of stream readers could not be looked at', error }),
    });
  }

  start(): Promise<void> {
    return this.task.start();
  }

  stop(): Promise<void> {
    return this.task.stop();
  }
}
