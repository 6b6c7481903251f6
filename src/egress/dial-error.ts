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
  if (error instanceof RangeError) return new DialError('dns', error.message, error);
  const [code, text] = codeAndText(error);
  if (DNS.has(code)) return new DialError('dns', `the name of ${where} cannot be resolved (${code})`, error);
  if (REFUSED.has(code)) return new DialError('refused', `${where} accepts no connection (${code})`, error);
  if (code === 'ETIMEDOUT') return new DialError('timeout', `${where} does not answer (${code})`, error);
  if (CUT.has(code)) return new DialError('cut', `the connection to ${where} broke (${code})`, error);
  return new DialError('tls', `no trusted TLS connection to ${where}: ${text}`, error);
}

/** Of an AggregateError (several addresses tried) the last attempt's. */
function codeAndText(error: unknown): [string, string] {
  const single = error instanceof AggregateError ? ((error.errors as unknown[]).at(-1) ?? error) : error;
  if (!(single instanceof Error)) return ['', String(single)];
  const code = 'code' in single && typeof single.code === 'string' ? single.code : '';
  return [code, code === '' || single.message.includes(code) ? single.message : `${single.message} (${code})`];
}
