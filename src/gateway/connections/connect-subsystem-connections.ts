import { ConnectSubsystemConnection, type ConnectSubsystemConnectionOptions } from './connect-subsystem-connection.js';

/** Makes connections to subsystems; nothing is dialled before the first call. */
export class ConnectSubsystemConnections {
  constructor(
    private readonly options: Omit<ConnectSubsystemConnectionOptions, 'subsystemId' | 'endpoints' | 'onUnreachable'>,
  ) {}

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
    return new ConnectSubsystemConnection({ ...this.options, subsystemId, endpoints, onUnreachable });
  }
}
