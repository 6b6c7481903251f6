import { readFirstTrueCondition, type Condition } from './conditions.js';
import { readCount, readObject, readObjects, readText, readTime, type JsonObject } from './json-reader.js';

export interface JobState {
  readonly suspend: boolean;
  /** null: any one success ends it. */
  readonly completions: number | null;
  readonly parallelism: number;
  readonly backoffLimit: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly active: number;
  readonly ready: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly complete: boolean;
  /** Failed, or FailureTarget, which tells it while its pods still end. */
  readonly failure: Condition | null;
  /** SuccessCriteriaMet, while its pods still end. */
  readonly ending: boolean;
}

export interface CronJobState {
  readonly suspend: boolean;
  readonly schedule: string | null;
  readonly timeZone: string | null;
  readonly active: number;
  readonly lastScheduledAt: number | null;
  readonly lastSucceededAt: number | null;
}

export function slimJob(raw: JsonObject): JobState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  const complete = readFirstTrueCondition(status, ['Complete']);
  const failure = readFirstTrueCondition(status, ['Failed', 'FailureTarget']);
  return {
    suspend: spec.suspend === true,
    completions: readCount(spec.completions),
    parallelism: readCount(spec.parallelism) ?? 1,
    backoffLimit: readCount(spec.backoffLimit) ?? 6,
    startedAt: readTime(status.startTime),
    // A failed Job has no completionTime: its condition has the time.
    finishedAt: readTime(status.completionTime) ?? complete?.since ?? failure?.since ?? null,
    active: readCount(status.active) ?? 0,
    ready: readCount(status.ready) ?? 0,
    succeeded: readCount(status.succeeded) ?? 0,
    failed: readCount(status.failed) ?? 0,
    complete: complete !== null,
    failure,
    ending: readFirstTrueCondition(status, ['SuccessCriteriaMet']) !== null,
  };
}

export function slimCronJob(raw: JsonObject): CronJobState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  return {
    suspend: spec.suspend === true,
    schedule: readText(spec.schedule, 100),
    timeZone: readText(spec.timeZone, 60),
    active: readObjects(status.active).length,
    lastScheduledAt: readTime(status.lastScheduleTime),
    lastSucceededAt: readTime(status.lastSuccessfulTime),
  };
}
