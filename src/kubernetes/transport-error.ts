import { DialError, EgressRefused } from '../egress/index.js';
import { AppError } from '../errors/app-error.js';
import { KubernetesApiError } from './kubernetes-api.js';
import type { AskedFor } from './status-error.js';

/** What kept an answer from coming, as the one error class of the port. Texts of the server are not in it. */
export function transportError(error: unknown, asked: AskedFor): KubernetesApiError {
  if (error instanceof KubernetesApiError) return error;
  const where = `${asked.method} ${asked.path} on ${asked.origin}`;
  if (error instanceof EgressRefused) return new KubernetesApiError('egress', error.detail, { cause: error });
  if (error instanceof DialError)
    return new KubernetesApiError(error.failure, `${where}: ${error.message}`, { cause: error });
  if (error instanceof AppError) return new KubernetesApiError('unauthorized', error.detail, { cause: error });
  const message = messageOf(error);
  return new KubernetesApiError('cut', `${where}: ${message}`, { cause: error });
}

/** By shape: errors of node may come from another realm. */
function messageOf(error: unknown): string {
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined;
  return typeof message === 'string' ? message : 'unknown error';
}
