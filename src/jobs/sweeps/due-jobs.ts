import { Inject, Injectable, Logger } from '@nestjs/common';
import { PeriodicTasks } from '../../lifecycle/index.js';
import type { PeriodicTask } from '../../runtime/periodic-task.js';
import type { Runnable } from '../../runtime/runnable.js';
import { JobSweeps } from './job-sweeps.js';
import { type JobsConfig, jobsConfig } from '../jobs.config.js';

/**
 * Queues delayed jobs soon after their time has come, on every replica: the round of the job recovery is too rare for
 * retries after seconds. Where nothing is due it costs one look into an index.
 */
@Injectable()
export class DueJobs implements Runnable {
  readonly name = 'due jobs';
  private readonly log = new Logger(DueJobs.name);
  private readonly task: PeriodicTask;

  constructor(sweeps: JobSweeps, tasks: PeriodicTasks, @Inject(jobsConfig.token) { pollMs }: JobsConfig) {
    this.task = tasks.create({
      name: this.name,
      periodMs: pollMs,
      runOnce: async (signal) => void (await sweeps.queueDueJobs(signal)),
      onError: (error) => this.log.error({ message: 'delayed jobs could not be queued', error }),
    });
  }

  start(): Promise<void> {
    return this.task.start();
  }

  stop(): Promise<void> {
    return this.task.stop();
  }
}
