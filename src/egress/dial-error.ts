import { AppError } from '../errors/app-error.js';

/** Why no connection came about. Egress refusals are `EgressRefused`. */
export type DialFailure = 'dns' | 'refused' | 'tls' | 'timeout' | 'cut';

export class DialError extends Error {
  constructor(
    readonly failure: DialFailure,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'DialError';
  }
}

const DNS = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME', 'ENODATA', 'ESERVFAIL']);
const REFUSED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EADDRNOTAVAIL', 'EACCES']);
const CUT = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** Tells the errors of sockets, resolvers and OpenSSL apart. Errors of our own pass as they are. */
export function dialErrorOf(error: unknown, where: string): Error {
  if (error instanceof DialError || error instanceof AppError) return error;
  const [code, text] = codeAndText(error);
  if (DNS.has(code)) return new DialError('dns', `the name of ${where} cannot be resolved (${code})`, error);
  if (REFUSED.has(code)) return new DialError('refused', `${where} accepts no connection (${code})`, error);
  if (code === 'ETIMEDOUT') return new DialError('timeout', `${where} does not answer (${code})`, error);
  if (CUT.has(code)) return new DialError('cut', `the connection to ${where} broke (${code})`, error);
  return new DialError('tls', `no trusted TLS connection to ${where}: ${text}`, error);
}

/** Of an AggregateError (several addresses tried) the last attempt's. Read by shape: errors of node may come from another realm. */
function codeAndText(error: unknown): [string, string] {
  const { code, message, errors } = shape(error);
  if (Array.isArray(errors) && errors.length > 0) return codeAndText(errors.at(-1));
  const known = typeof code === 'string' ? code : '';
  const text = typeof message === 'string' ? message : 'unknown error';
  return [known, known === '' || text.includes(known) ? text : `${text} (${known})`];
}

function shape(error: unknown): { code?: unknown; message?: unknown; errors?: unknown } {
  return typeof error === 'object' && error !== null ? error : {};
}
