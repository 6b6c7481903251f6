import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import type { Readiness } from '../../lifecycle/index.js';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../gen/grpc/health/v1/health_pb.js';
import { callOf } from './rpc-call.js';
import type { RpcCalls } from './rpc-calls.js';

/** gRPC's health service for the whole (`''`) and each service: https://grpc.io/docs/guides/health-checking/ */
export function bindHealth(
  router: ConnectRouter,
  calls: RpcCalls,
  readiness: Readiness,
  serviceNames: readonly string[],
): void {
  const known = new Set(['', Health.typeName, ...serviceNames]);
  const statusOf = (service: string): Status => {
    if (!known.has(service)) return Status.SERVICE_UNKNOWN;
    return readiness.state === 'ready' ? Status.SERVING : Status.NOT_SERVING;
  };
  router.service(Health, {
    check: ({ service }, context) => {
      const status = statusOf(service);
      callOf(context).code = status === Status.SERVICE_UNKNOWN ? 'not_found' : 'ok';
      if (status === Status.SERVICE_UNKNOWN) throw new ConnectError('there is no such service', Code.NotFound);
      return { status };
    },
    watch: ({ service }, context) =>
      calls.stream(context, async function* (signal) {
        let last: Status | undefined;
        for (;;) {
          const status = statusOf(service);
          const changed = nextChange(readiness, signal);
          if (status !== last) yield { status };
          last = status;
          await changed;
          if (signal.aborted) return;
        }
      }),
  });
}

/** Resolves at the next change of readiness, or when the signal aborts. */
function nextChange(readiness: Readiness, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = readiness.onChange(done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
    function done(): void {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
