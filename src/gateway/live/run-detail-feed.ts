import { Code, ConnectError } from '@connectrpc/connect';
import { StopReason } from '../../runtime/stop-reason.js';
import type { CallOptions } from '../connections/subsystem-connection.js';
import { type RunDetailEvent, StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { OwnedRun } from '../routing/run-owners.js';
import { pollInTurn } from './poll-in-turn.js';
import { MessageQueue } from './message-queue.js';
import { RunDetailState } from './run-detail-state.js';
import { Upstream, type UpstreamContext } from './upstream.js';

const { watchRun } = StreamService.method;
const WAITING = 100;
/** These tell of the way or of the moment: it is tried again. All others are the subsystem's answer. */
const PASSING = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Aborted,
  Code.Unknown,
  Code.Internal,
  Code.DataLoss,
]);

export interface RunDetailFeedOptions extends UpstreamContext {
  readonly owned: OwnedRun;
  readonly gatewayPath: string | undefined;
  readonly pollMs: number;
}

/**
 * One run as its owner tells it, through reconnects: what was missed meanwhile is asked for and told as events. Ends when
 * the run has. Where its owner does not stream it is asked again and again.
 */
export class RunDetailFeed implements AsyncIterable<RunDetailEvent> {
  isPolled = false;
  private readonly queue: MessageQueue<RunDetailEvent>;
  private readonly upstream: Upstream;
  private readonly state: RunDetailState;
  private readonly stopListening: () => void;
  private sessions = 0;

  constructor(private readonly options: RunDetailFeedOptions) {
    const { owned, directory, clock } = options;
    this.state = new RunDetailState(owned, clock);
    this.upstream = new Upstream(owned.subsystem, options, (signal, begun) => this.run(signal, begun));
    this.queue = new MessageQueue(WAITING, () => {
      this.stopListening();
      void this.upstream.stop();
    });
    this.stopListening = directory.onChange(({ kind, subsystem }) => {
      if (kind !== 'removed' || subsystem !== owned.subsystem) return;
      this.queue.end({ error: new ConnectError(`subsystem ${subsystem.id} has left`, Code.Unavailable) });
    });
    this.upstream.start();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<RunDetailEvent, undefined> {
    return this.queue;
  }

  stop(): void {
    this.queue.end();
  }

  private async run(signal: AbortSignal, begun: () => void): Promise<void> {
    try {
      if (this.options.owned.subsystem.capabilities?.streaming !== false) await this.streamUnlessRefused(signal, begun);
      else await this.poll(signal, begun);
      if (this.state.hasEnded) this.queue.end();
    } catch (error) {
      const isAnswer = !signal.aborted && !PASSING.has(ConnectError.from(error).code);
      if (isAnswer) this.queue.end({ error });
      throw error;
    }
  }

  private async streamUnlessRefused(signal: AbortSignal, begun: () => void): Promise<void> {
    try {
      await this.stream(signal, begun);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
      await this.poll(signal, begun);
    }
  }

  private async stream(signal: AbortSignal, begun: () => void): Promise<void> {
    this.isPolled = false;
    this.sessions += 1;
    const cut = new AbortController();
    const both = AbortSignal.any([signal, cut.signal]);
    const asked = this.ask(both, this.sessions > 1).catch((error: unknown) => cut.abort(error));
    try {
      const { subsystem, runId } = this.options.owned;
      for await (const event of subsystem.connection.stream(watchRun, { runId }, this.callOptions(both))) {
        begun();
        this.state.note(event);
        await this.queue.put(event);
      }
      // Whether that was the end of the run, or of the subsystem's patience.
      if (!both.aborted) await this.tellMissed(both);
      both.throwIfAborted();
    } catch (error) {
      throw cut.signal.aborted && !signal.aborted ? cut.signal.reason : error;
    } finally {
      cut.abort(new StopReason('the session'));
      await asked;
    }
  }

  /** Beside the stream: what is no news when it begins, or what was missed before it did. */
  private async ask(signal: AbortSignal, isGap: boolean): Promise<void> {
    if (!isGap) {
      await this.state.prime(this.callOptions(signal)).catch(ignoreWhatTheStreamWillTell);
      return;
    }
    await this.tellMissed(signal);
    // The stream may have begun after that was asked.
    await this.options.clock.sleep(this.options.pollMs, signal);
    await this.tellMissed(signal);
  }

  private async poll(signal: AbortSignal, begun: () => void): Promise<void> {
    this.isPolled = true;
    while (!this.state.hasEnded) {
      await this.tellMissed(signal);
      begun();
      if (!this.state.hasEnded) await this.options.clock.sleep(this.options.pollMs, signal);
    }
  }

  private async tellMissed(signal: AbortSignal): Promise<void> {
    const { subsystem } = this.options.owned;
    // Also a probe ends with the session: what is found out is taken as told.
    const missed = await pollInTurn(subsystem, signal, () => this.state.missed(this.callOptions(signal)));
    for (const event of missed) await this.queue.put(event);
  }

  private callOptions(signal: AbortSignal): CallOptions {
    return { signal, gatewayPath: this.options.gatewayPath };
  }
}

/** That the log could not be read at the begin is made good at the next look. */
function ignoreWhatTheStreamWillTell(): void {
  return undefined;
}
