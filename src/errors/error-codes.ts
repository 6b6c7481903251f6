/**
 * The catalogue of stable error codes: HTTP status and title of each. `code` is part of the API: a code may be added,
 * never renamed or given another meaning.
 */
export const ERROR_CODES = {
  'request.invalid': { status: 422, title: 'The request is not valid' },
  'request.malformed': { status: 400, title: 'The request cannot be read' },
  'request.too_large': { status: 413, title: 'The request is too large' },
  'request.unsupported_media_type': { status: 415, title: 'The content type is not supported' },
  'request.not_acceptable': { status: 406, title: 'No acceptable representation exists' },
  'request.host_refused': { status: 421, title: 'The Host header is not one of this service' },
  'request.origin_refused': { status: 403, title: 'The request comes from another site' },
  'request.rate_limited': { status: 429, title: 'Too many requests' },
  'request.idempotency_key_reused': { status: 422, title: 'The idempotency key belongs to another request' },
  'request.idempotency_key_running': { status: 409, title: 'The first request with this idempotency key still runs' },
  'auth.required': { status: 401, title: 'A credential is required' },
  'auth.forbidden': { status: 403, title: 'The role does not allow this' },
  'resource.not_found': { status: 404, title: 'Not found' },
  'resource.version_conflict': { status: 409, title: 'The object has changed meanwhile' },
  'resource.name_taken': { status: 409, title: 'The name is taken' },
  'cluster.already_registered': { status: 409, title: 'The cluster is registered already' },
  'cluster.credential_required': { status: 422, title: 'The credential has to be given again' },
  'cluster.in_use': { status: 409, title: 'The cluster still has objects' },
  'egress.refused': { status: 422, title: 'The address is not allowed' },
  'workflow.run_active': { status: 409, title: 'A run of this workflow is in progress' },
  'workflow.not_active': { status: 409, title: 'The workflow is archived' },
  'workflow.in_use': { status: 409, title: 'The workflow still has objects' },
  'workflow.object_taken': { status: 409, title: 'An object belongs to another workflow' },
  'run.not_active': { status: 409, title: 'The run has ended' },
  'stream.limit': { status: 429, title: 'Too many streams' },
  'stream.ticket_refused': { status: 401, title: 'The ticket is not valid' },
  'service.draining': { status: 503, title: 'The service is shutting down' },
  'service.unavailable': { status: 503, title: 'The service is not available' },
  internal: { status: 500, title: 'Internal error' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;
