import { AppError } from '../errors/app-error.js';

const MAX_LENGTH = 500;

/** What of an error is stored and shown to admins: its message, cut, without the user part of URLs. The log has it in full. */
export function errorText(error: unknown): string {
  const text = error instanceof AppError ? error.detail : error instanceof Error ? error.message : String(error);
  const safe = text.replaceAll(/\/\/[^\s/@]*@/g, '//');
  return safe.length > MAX_LENGTH ? `${safe.slice(0, MAX_LENGTH - 1)}…` : safe;
}
