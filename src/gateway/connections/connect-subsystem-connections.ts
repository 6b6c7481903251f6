import { ConnectSubsystemConnection, type ConnectSubsystemConnectionOptions } from './connect-subsystem-connection.js';

/** Makes connections to subsystems; nothing is dialled before the first call. */
export class ConnectSubsystemConnections {
  constructor(private readonly options: Omit<ConnectSubsystemConnectionOptions, 'endpoints'>) {}

  /** @param endpoints origins of the instances that may be called now, preferred first; asked at each call. */
  open(endpoints: () => readonly string[]): ConnectSubsystemConnection {
    return new ConnectSubsystemConnection({ ...this.options, endpoints });
  }
}
