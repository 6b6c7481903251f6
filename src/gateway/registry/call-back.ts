import { Code, ConnectError } from '@connectrpc/connect';
import { create } from '@bufbuild/protobuf';
import type { CallOptions, SubsystemConnection } from '../connections/subsystem-connection.js';
import { type Capabilities, CapabilitiesSchema, type WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';

const PAGE = 200;
/** Of one subsystem; what it has beyond is not routed by workflow. */
const MAX_WORKFLOWS = 10_000;
/** Enough for all of them where an engine gives 50 a page, and an end where pages never end. */
const MAX_PAGES = 200;

export interface OfferedWorkflows {
  readonly workflows: readonly WorkflowDefinition[];
  /** There may be more, which are not read. */
  readonly isCut: boolean;
}

/** @throws ConnectError as the connection does. One that does not offer the call has no capabilities. */
export async function readCapabilities(connection: SubsystemConnection, options: CallOptions): Promise<Capabilities> {
  try {
    const answer = await connection.read(WorkflowService.method.getCapabilities, {}, options);
    return answer.capabilities ?? create(CapabilitiesSchema);
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unimplemented) return create(CapabilitiesSchema);
    throw error;
  }
}

/** All pages, up to 10 000 workflows and 200 calls. @throws ConnectError as the connection does. */
export async function readWorkflows(connection: SubsystemConnection, options: CallOptions): Promise<OfferedWorkflows> {
  const workflows = new Map<string, WorkflowDefinition>();
  const seen = new Set<string>();
  let cursor = '';
  while (!seen.has(cursor)) {
    if (seen.size >= MAX_PAGES || workflows.size >= MAX_WORKFLOWS) return offered(workflows, true);
    seen.add(cursor);
    const input = { pagination: { cursor, limit: PAGE } };
    const answer = await connection.read(WorkflowService.method.listWorkflows, input, options);
    const known = workflows.size;
    for (const workflow of answer.workflows.slice(0, MAX_WORKFLOWS - known)) workflows.set(workflow.id, workflow);
    cursor = answer.pagination?.nextCursor ?? '';
    // A page without anything new is the last, whatever its cursor says.
    if (cursor === '' || workflows.size === known) break;
  }
  return offered(workflows, workflows.size >= MAX_WORKFLOWS);
}

function offered(workflows: ReadonlyMap<string, WorkflowDefinition>, isCut: boolean): OfferedWorkflows {
  return { workflows: [...workflows.values()], isCut };
}
