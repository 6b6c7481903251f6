import type { RequestHandler } from 'express';
import type { RequestAudit } from './request-audit.js';

/** Tells the audit log of changes that a guard refused to a known caller; interceptors do not see those. */
export function auditRefusals(audit: Pick<RequestAudit, 'ended'>): RequestHandler {
  return (request, response, next) => {
    response.once('close', () => audit.ended(request, response));
    next();
  };
}
