import type { Clock } from '../runtime/clock.js';
import type { Exchange } from './api-connection.js';
import { KubernetesApiError } from './kubernetes-api.js';
import { LineSplitter, LineTooLong } from './line-splitter.js';
import type { AskedFor } from './status-error.js';
import { transportError } from './transport-error.js';

const MAX_LINE = 4 * 1024 * 1024;
/** Two and a half of the server's bookmark periods: a watch that asked for bookmarks is never silent for so long. */
const SILENCE_MS = 150_000;

export interface WatchLinesOptions {
  readonly asked: AskedFor;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * The lines of a watch as parsed JSON. A line that cannot be read ends the watch: skipping it would lose an event.
 * Leaving the iteration ends the stream.
 */
export async function* watchLines(exchange: Exchange, options: WatchLinesOptions): AsyncGenerator<unknown, void> {
  const { asked, signal, clock } = options;
  const { body } = exchange;
  const splitter = new LineSplitter(MAX_LINE);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const silent = (): void => void body.destroy(cut(asked, `nothing came for ${SILENCE_MS / 1_000} s`));
  let silence = clock.after(SILENCE_MS, silent, { unref: true });
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const lines = splitter.push(chunk);
      if (lines.length === 0) continue;
      silence.cancel();
      for (const line of lines) yield parse(line, decoder, asked);
      silence = clock.after(SILENCE_MS, silent, { unref: true });
    }
    if (signal.aborted) throw signal.reason;
    if (splitter.isMidLine || !exchange.isComplete()) throw cut(asked, 'the connection broke within the watch');
  } catch (error) {
    throw signal.aborted ? signal.reason : readable(error, asked);
  } finally {
    silence.cancel();
    body.destroy();
  }
}

function parse(line: Buffer, decoder: InstanceType<typeof TextDecoder>, asked: AskedFor): unknown {
  try {
    return JSON.parse(decoder.decode(line));
  } catch {
    // Without the parser's message as a cause: it repeats the text, which may be a Secret's.
    throw cut(asked, 'a line cannot be read');
  }
}

function readable(error: unknown, asked: AskedFor): Error {
  if (error instanceof LineTooLong) return cut(asked, error.message);
  return transportError(error, asked);
}

function cut(asked: AskedFor, what: string): KubernetesApiError {
  return new KubernetesApiError('cut', `watch of ${asked.path} on ${asked.origin}: ${what}`);
}
