import { setTimeout as sleep } from 'node:timers/promises';
import { type JobFunction, JobError } from './agent.ts';

const STEPS = 10;

/** Gives its payload back. */
const echo: JobFunction = (job) => Promise.resolve(job.payload);

/** Payload `{ms}`: takes that long, telling progress. */
const sleepFor: JobFunction = async ({ payload }, { signal, progress }) => {
  const ms = typeof payload === 'object' && payload !== null && 'ms' in payload ? Number(payload.ms) : 0;
  if (!(ms >= 0)) throw new JobError({ code: 'bad_payload', message: 'expected {"ms": milliseconds}' }, false);
  for (let step = 1; step <= STEPS; step += 1) {
    await sleep(ms / STEPS, undefined, { signal });
    progress({ percent: (step * 100) / STEPS });
  }
  return { sleptMs: ms };
};

/** What `npm run agent` can do. */
export const FUNCTIONS: Readonly<Record<string, JobFunction>> = { echo, sleep: sleepFor };
