import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';

export interface FieldViolation {
  /** Path of the field as the `.proto` file names it: `pagination.limit`, `run_ids[3]`. */
  readonly field: string;
  /** What it must be, and what is wrong with what it is. */
  readonly description: string;
}

/** Bad input: `invalid_argument` with a `google.rpc.BadRequest` that names each wrong field. */
export function invalidArgument(...fieldViolations: readonly FieldViolation[]): ConnectError {
  const message = fieldViolations.map(({ field, description }) => `${field} ${description}`).join('; ');
  const detail = { desc: BadRequestSchema, value: { fieldViolations: [...fieldViolations] } };
  return new ConnectError(message, Code.InvalidArgument, undefined, [detail]);
}
