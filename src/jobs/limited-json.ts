import { AppError } from '../errors/app-error.js';
import { MAX_JSON_BYTES } from './job.js';

/** @throws AppError `request.too_large`. */
export function limitedJson(value: unknown, what: string): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > MAX_JSON_BYTES) {
    throw new AppError('request.too_large', `the ${what} has more than ${MAX_JSON_BYTES} bytes of JSON`);
  }
  return text;
}
