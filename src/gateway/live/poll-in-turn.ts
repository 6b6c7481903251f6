import { Code, ConnectError } from '@connectrpc/connect';
import type { Subsystem } from '../registry/subsystem-directory.js';

/**
 * What is asked of a subsystem again and again, by the rule of fan-outs: once it has let call after call time out, by
 * whomever, it is asked no more but for a probe from time to time. Nobody waits for a poll, so that it may well be the probe.
 * Streams are opened all the same: one that says nothing is no sign of anything, and none is opened beside another.
 *
 * @param poll Its signal is undefined for a probe, which goes on until it has found out.
 * @throws ConnectError `deadline_exceeded` at once if it is left out now; what `poll` throws.
 */
export async function pollInTurn<T>(
  { id, connection }: Pick<Subsystem, 'id' | 'connection'>,
  signal: AbortSignal | undefined,
  poll: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const turn = connection.timeouts.begin();
  if (!turn) throw new ConnectError(`subsystem ${id} has let call after call time out`, Code.DeadlineExceeded);
  try {
    const answer = await poll(turn.isProbe ? undefined : signal);
    turn.ended();
    return answer;
  } catch (error) {
    turn.ended(error);
    throw error;
  }
}
