import type { Clock } from '../../runtime/clock.js';
import { StopReason } from '../../runtime/stop-reason.js';
import { readCapabilities } from './call-back.js';
import type { SubsystemConnections } from './subsystem-connections.js';
import type { RegistrySession } from './registry-session.js';

export interface SubsystemBeatsOptions {
  readonly endpoint: string;
  readonly session: RegistrySession;
  readonly connections: SubsystemConnections;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  /** Of what is not the failure of a call. */
  readonly onError: (error: unknown) => void;
}

/** The heartbeat of a subsystem without a stream: a cheap call each interval stands in for ping and pong. */
export class SubsystemBeats {
  private readonly abort = new AbortController();
  private readonly loop: Promise<void>;

  constructor(private readonly options: SubsystemBeatsOptions) {
    this.loop = this.run(this.abort.signal);
  }

  /** Ends its session too. Resolves when the call in progress is over. */
  async stop(): Promise<void> {
    this.abort.abort(new StopReason('health calls'));
    await this.loop;
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { endpoint, session, connections, heartbeatMs, clock, onError } = this.options;
    const connection = connections.open(session.subsystem.id, () => [endpoint]);
    try {
      while (!signal.aborted) {
        await clock.sleep(heartbeatMs, signal);
        session.pinged();
        const sentAt = clock.monotonic();
        // What it answers is looked at by the call-backs.
        const lives = await readCapabilities(connection, { signal, timeoutMs: heartbeatMs }).then(
          () => true,
          () => false,
        );
        if (lives && !signal.aborted) session.answered(clock.monotonic() - sentAt);
      }
    } catch (error) {
      if (!signal.aborted) onError(error);
    } finally {
      session.close();
      await connection.close();
    }
  }
}
