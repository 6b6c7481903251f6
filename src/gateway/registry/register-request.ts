import type { RegisterRequest } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { type FieldViolation, invalidArgument } from '../input/invalid-argument.js';
import { textProblem } from '../input/text-problem.js';
import type { SubsystemDescription } from './registered-subsystem.js';
import { type SubsystemEndpoint, parseSubsystemEndpoint } from './subsystem-endpoint.js';
import { SUBSYSTEM_ID } from './subsystem-key.js';

/** Of what subsystems say of themselves, in UTF-16 code units. */
export const DESCRIPTION_LIMITS = { name: 256, description: 4_096, entries: 64, key: 256, value: 1_024 } as const;

export interface AnnouncedSubsystem extends SubsystemDescription {
  readonly endpoint: SubsystemEndpoint;
}

/** @throws ConnectError `invalid_argument` with the path of each wrong field. */
export function readRegisterRequest(request: RegisterRequest): AnnouncedSubsystem {
  const { subsystemId: id, subsystemName: name, description, metadata, flowwatchEndpoint } = request;
  const endpoint = readEndpoint(flowwatchEndpoint);
  const problems: ReadonlyArray<readonly [string, string | undefined]> = [
    ['subsystem_id', subsystemIdProblem(id)],
    ['subsystem_name', textProblem(name, DESCRIPTION_LIMITS.name)],
    ['description', textProblem(description, DESCRIPTION_LIMITS.description)],
    ...metadataProblems(metadata).map((problem) => ['metadata', problem] as const),
    ['flowwatch_endpoint', typeof endpoint === 'string' ? endpoint : undefined],
  ];
  const violations = problems.flatMap(([field, problem]): FieldViolation[] =>
    problem === undefined ? [] : [{ field, description: problem }],
  );
  if (violations.length > 0 || typeof endpoint === 'string') throw invalidArgument(...violations);
  return { id, name, description, metadata, endpoint };
}

export const SUBSYSTEM_ID_RULE =
  'expected 1 to 128 letters, digits, ".", "_" and "-", with a letter or digit at both ends';

function subsystemIdProblem(id: string): string | undefined {
  if (id === '') return 'is missing';
  return SUBSYSTEM_ID.test(id) ? undefined : SUBSYSTEM_ID_RULE;
}

/** What is wrong with the metadata, one text for each problem. */
export function metadataProblems(metadata: Readonly<Record<string, string>>): string[] {
  const { entries, key: keyLimit, value: valueLimit } = DESCRIPTION_LIMITS;
  const all = Object.entries(metadata);
  if (all.length > entries) return [`expected at most ${entries} entries`];
  const isTooLong = all.some(([key, value]) => key.length > keyLimit || value.length > valueLimit);
  return isTooLong ? [`expected keys of at most ${keyLimit} and values of at most ${valueLimit} characters`] : [];
}

/** The endpoint, or what is wrong with it. */
export function readEndpoint(text: string): SubsystemEndpoint | string {
  try {
    return parseSubsystemEndpoint(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return error.message;
  }
}
