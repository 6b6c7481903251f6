/** Boolean, provided by the application: whether nobody but this machine can reach the service. Taken for false if absent. */
export const SERVES_LOOPBACK_ONLY = Symbol('ServesLoopbackOnly');
