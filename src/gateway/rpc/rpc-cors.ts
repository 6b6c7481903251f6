import type { OutgoingHttpHeaders } from 'node:http';
import { cors } from '@connectrpc/connect';
import { FAILED_SUBSYSTEMS_HEADER, NOTES_HEADER, POLLED_SUBSYSTEMS_HEADER } from './answer-headers.js';

const ALLOWED = [...cors.allowedHeaders, 'Authorization', 'Idempotency-Key', 'X-Request-Id'].join(', ');
const EXPOSED = [
  ...cors.exposedHeaders,
  FAILED_SUBSYSTEMS_HEADER,
  POLLED_SUBSYSTEMS_HEADER,
  NOTES_HEADER,
  'Retry-After',
  'X-Request-Id',
].join(', ');
const PREFLIGHT_SECONDS = 7_200;

/** For answers to a page of a listed origin. https://connectrpc.com/docs/cors */
export function corsHeaders(origin: string): OutgoingHttpHeaders {
  return { 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': EXPOSED, Vary: 'Origin' };
}

/** For the question whether a page of a listed origin may ask. */
export function preflightHeaders(origin: string): OutgoingHttpHeaders {
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Methods': cors.allowedMethods.join(', '),
    'Access-Control-Allow-Headers': ALLOWED,
    'Access-Control-Max-Age': PREFLIGHT_SECONDS,
    Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
  };
}
