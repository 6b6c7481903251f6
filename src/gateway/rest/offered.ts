import { z } from 'zod';

export const offered = z.boolean();

/** Whether each is offered of what a subsystem may offer, to be spread into a schema. Of search more or less is told. */
export const offeredSchemas = {
  retryRun: offered,
  retryFromStep: offered,
  cancelRun: offered,
  pauseRun: offered,
  resumeRun: offered,
  skipStep: offered,
  streaming: offered,
  analytics: offered,
};
