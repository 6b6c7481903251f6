import { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Express } from 'express';

interface ExpressCore {
  readonly request: object;
  readonly response: object;
  handle(request: unknown, response: unknown): void;
}

/**
 * Answers HTTP/2 requests with an Express application. Express gives each request and response its own prototypes, which
 * derive from those of HTTP/1.1: this view of the application has the same methods over those of HTTP/2.
 */
export function expressOverHttp2(
  express: Express,
): (request: Http2ServerRequest, response: Http2ServerResponse) => void {
  const core = express as unknown as ExpressCore;
  const view = Object.create(express, {
    request: { value: withBase(core.request, Http2ServerRequest.prototype) },
    response: { value: withBase(core.response, Http2ServerResponse.prototype) },
  }) as object;
  return (request, response) => {
    const { headers, stream } = request;
    headers.host ??= request.authority;
    // Body parsers look for one of these two to know that there is a body; HTTP/2 needs neither.
    if (!stream.endAfterHeaders && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked';
    // Express sets it, and the response of HTTP/2 has it read-only.
    Object.defineProperty(response, 'req', { value: request, writable: true, configurable: true });
    core.handle.call(view, request, response);
  };
}

/** The application's own properties and Express' methods, over another base. */
function withBase(prototype: object, base: object): object {
  const methods = Object.getPrototypeOf(prototype) as object;
  return Object.create(
    Object.create(base, Object.getOwnPropertyDescriptors(methods)) as object,
    Object.getOwnPropertyDescriptors(prototype),
  ) as object;
}
