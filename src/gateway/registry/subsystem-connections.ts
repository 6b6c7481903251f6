import type { SubsystemConnection } from '../connections/subsystem-connection.js';

/** A connection that is closed when its subsystem leaves. */
export interface OpenSubsystemConnection extends SubsystemConnection {
  /** Ends what is in progress and closes its sockets. */
  close(): void | Promise<void>;
}

/** Port: makes connections. Nothing is dialled before the first call. */
export interface SubsystemConnections {
  /**
   * @param subsystemId as errors name it.
   * @param endpoints origins of the instances that may be called now, preferred first; asked at each call.
   * @param onUnreachable told of each that a call found nobody at: no connection stands, and none can be opened.
   */
  open(
    subsystemId: string,
    endpoints: () => readonly string[],
    onUnreachable?: (endpoint: string) => void,
  ): OpenSubsystemConnection;
}

export const SUBSYSTEM_CONNECTIONS = Symbol('SubsystemConnections');
