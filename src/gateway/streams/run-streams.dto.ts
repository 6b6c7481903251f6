import { z } from 'zod';
import { streamQuery } from '../../realtime/index.js';
import { RunStatusSchema } from '../gen/flowwatch/v1/types_pb.js';
import { idQuery, repeated } from '../rest/gateway-query.js';
import { wordsOf } from '../rest/wire-words.js';

/** Which runs a stream is of. */
export const runStreamFilter = {
  workflowId: repeated(idQuery).meta({
    description: 'A workflow, bare or qualified by its subsystem. May be repeated: either will do.',
  }),
  status: repeated(z.enum(wordsOf(RunStatusSchema))),
  subsystemId: repeated(idQuery).meta({
    description: 'A subsystem, or a business domain that runs name. May be repeated: either will do.',
  }),
};

export const RunStreamQuery = streamQuery.extend(runStreamFilter);
export type RunStreamQuery = z.infer<typeof RunStreamQuery>;
