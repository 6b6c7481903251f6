import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';

export interface FieldViolation {
  /** Path of the field as the `.proto` file names it: `pagination.limit`, `run_ids[3]`. */
  readonly field: string;
  /** What it must be, and what is wrong with what it is. */
  readonly description: string;
}

/** Over gRPC they travel in a trailer, and clients take few KiB of these. */
const MOST_TOLD = 20;

/** Bad input: `invalid_argument` with a `google.rpc.BadRequest` that names each wrong field, the first 20 of many. */
export function invalidArgument(...fieldViolations: readonly FieldViolation[]): ConnectError {
  const told = fieldViolations.slice(0, MOST_TOLD);
  const more = fieldViolations.length - told.length;
  const texts = told.map(({ field, description }) => `${field} ${description}`);
  const message = [...texts, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
  const detail = { desc: BadRequestSchema, value: { fieldViolations: told } };
  return new ConnectError(message, Code.InvalidArgument, undefined, [detail]);
}
