import { type ConnectRouter, type Interceptor, createConnectRouter } from '@connectrpc/connect';
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from '@connectrpc/connect-node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

export type RpcRequest = IncomingMessage | Http2ServerRequest;
export type RpcResponse = ServerResponse | Http2ServerResponse;

/** As `connectNodeAdapter`, which writes to the console when a client has gone: here that is what many tests are about. */
export function rpcListener(
  routes: (router: ConnectRouter) => void,
  interceptors: Interceptor[],
): (request: RpcRequest, response: RpcResponse) => Promise<void> {
  const router = createConnectRouter({ interceptors });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return async (request, response) => {
    const handler = handlers.get(request.url?.split('?', 1)[0] ?? '');
    if (!handler) {
      response.statusCode = 404;
      (response as ServerResponse).end();
      return;
    }
    let isGone = false;
    response.once('close', () => (isGone = true));
    try {
      const answer = await handler(universalRequestFromNodeRequest(request, response, undefined, undefined));
      await universalResponseToNodeResponse(answer, response);
    } catch (error) {
      if (!isGone) throw error;
    }
  };
}
