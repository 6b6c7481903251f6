import {
  ConnectSubsystemConnection,
  type ConnectSubsystemConnectionOptions,
  type InstanceFigures,
} from './connect-subsystem-connection.js';

type SharedOptions = Omit<
  ConnectSubsystemConnectionOptions,
  'subsystemId' | 'endpoints' | 'onUnreachable' | 'onEnded' | 'onClosed'
>;

export interface ConnectionFigures extends InstanceFigures {
  /** Subsystems that fan-outs leave out because they let calls time out. */
  readonly leftOut: number;
  /** Calls and streams that have ended since the start, by `ok` or the code they ended with. */
  readonly calls: ReadonlyMap<string, number>;
}

/** Makes connections to subsystems; nothing is dialled before the first call. */
export class ConnectSubsystemConnections {
  private readonly opened = new Set<ConnectSubsystemConnection>();
  private readonly calls = new Map<string, number>();

  constructor(private readonly options: SharedOptions) {}

  /**
   * @param subsystemId as errors name it.
   * @param endpoints origins of the instances that may be called now, preferred first; asked at each call.
   * @param onUnreachable told of each that no connection can be opened to.
   */
  open(
    subsystemId: string,
    endpoints: () => readonly string[],
    onUnreachable: (endpoint: string) => void = () => undefined,
  ): ConnectSubsystemConnection {
    const connection = new ConnectSubsystemConnection({
      ...this.options,
      subsystemId,
      endpoints,
      onUnreachable,
      onEnded: (outcome) => void this.calls.set(outcome, (this.calls.get(outcome) ?? 0) + 1),
      onClosed: () => void this.opened.delete(connection),
    });
    this.opened.add(connection);
    return connection;
  }

  /** Over all that are open. */
  figures(): ConnectionFigures {
    let [links, givenUp, leftOut] = [0, 0, 0];
    for (const { figures, timeouts } of this.opened) {
      links += figures.links;
      givenUp += figures.givenUp;
      if (timeouts.isOpen) leftOut += 1;
    }
    return { links, givenUp, leftOut, calls: this.calls };
  }
}
