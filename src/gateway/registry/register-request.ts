import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { RegisterRequest } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';
import type { SubsystemDescription } from './registered-subsystem.js';
import { type SubsystemEndpoint, parseSubsystemEndpoint } from './subsystem-endpoint.js';
import { SUBSYSTEM_ID } from './subsystem-key.js';

/** Of what subsystems say of themselves, in UTF-16 code units. */
export const DESCRIPTION_LIMITS = { name: 256, description: 4_096, entries: 64, key: 256, value: 1_024 } as const;

export interface AnnouncedSubsystem extends SubsystemDescription {
  readonly endpoint: SubsystemEndpoint;
}

interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** @throws ConnectError `invalid_argument` with the path of each wrong field. */
export function readRegisterRequest(request: RegisterRequest): AnnouncedSubsystem {
  const { subsystemId: id, subsystemName: name, description, metadata, flowwatchEndpoint } = request;
  const wrong: FieldViolation[] = [];
  const expect = (field: string, holds: boolean, text: string): void => {
    if (!holds) wrong.push({ field, description: text });
  };
  expect('subsystem_id', id !== '', 'is missing');
  expect('subsystem_id', id === '' || SUBSYSTEM_ID.test(id), SUBSYSTEM_ID_RULE);
  expect(
    'subsystem_name',
    name.length <= DESCRIPTION_LIMITS.name,
    `expected at most ${DESCRIPTION_LIMITS.name} characters`,
  );
  expect(
    'description',
    description.length <= DESCRIPTION_LIMITS.description,
    `expected at most ${DESCRIPTION_LIMITS.description} characters`,
  );
  for (const problem of metadataProblems(metadata)) expect('metadata', false, problem);
  let endpoint: SubsystemEndpoint | undefined;
  try {
    endpoint = parseSubsystemEndpoint(flowwatchEndpoint);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    expect('flowwatch_endpoint', false, error.message);
  }
  if (wrong.length > 0 || endpoint === undefined) throw invalidRegistration(wrong);
  return { id, name, description, metadata, endpoint };
}

export const SUBSYSTEM_ID_RULE =
  'expected 1 to 128 letters, digits, ".", "_" and "-", with a letter or digit at both ends';

/** What is wrong with the metadata, one text for each problem. */
export function metadataProblems(metadata: Readonly<Record<string, string>>): string[] {
  const { entries, key: keyLimit, value: valueLimit } = DESCRIPTION_LIMITS;
  const all = Object.entries(metadata);
  if (all.length > entries) return [`expected at most ${entries} entries`];
  const isTooLong = all.some(([key, value]) => key.length > keyLimit || value.length > valueLimit);
  return isTooLong ? [`expected keys of at most ${keyLimit} and values of at most ${valueLimit} characters`] : [];
}

export function invalidRegistration(fieldViolations: readonly FieldViolation[]): ConnectError {
  const named = fieldViolations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  const detail = create(BadRequestSchema, { fieldViolations: [...fieldViolations] });
  return new ConnectError(`the registration is not valid: ${named}`, Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: detail },
  ]);
}
