import { z } from 'zod';
import { runStreamFilter } from './run-streams.dto.js';

export const RUN_STREAM_PREFIX = 'gateway-runs';

const filterSchema = z.strictObject(runStreamFilter);
type AskedFilter = z.infer<typeof filterSchema>;

/** Which runs are followed; an empty list: whatever it is. */
export interface RunStreamFilter {
  readonly workflowId: readonly string[];
  readonly status: readonly string[];
  readonly subsystemId: readonly string[];
}

/** `gateway-runs`, or `gateway-runs:status=failed&workflowId=w`: the same for the same filter. */
export function runStreamKey({ workflowId = [], status = [], subsystemId = [] }: AskedFilter): string {
  const id = idOf({ workflowId, status, subsystemId });
  return id === '' ? RUN_STREAM_PREFIX : `${RUN_STREAM_PREFIX}:${id}`;
}

/** undefined for what `runStreamKey` does not make. */
export function parseRunStreamId(id: string): RunStreamFilter | undefined {
  const parameters = new URLSearchParams(id);
  const asked = Object.fromEntries([...new Set(parameters.keys())].map((name) => [name, parameters.getAll(name)]));
  const { success, data } = filterSchema.safeParse(asked);
  if (!success) return undefined;
  const { workflowId = [], status = [], subsystemId = [] } = data;
  const filter = { workflowId, status, subsystemId };
  return idOf(filter) === id ? filter : undefined;
}

function idOf({ status, subsystemId, workflowId }: RunStreamFilter): string {
  const pairs = Object.entries({ status, subsystemId, workflowId }).flatMap(([name, values]) =>
    [...new Set(values)].toSorted().map((value): [string, string] => [name, value]),
  );
  return new URLSearchParams(pairs).toString();
}
