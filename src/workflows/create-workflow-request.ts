import { AppError } from '../errors/app-error.js';
import { formatPath, jsonOrText } from '../http/index.js';
import { CreateWorkflow, type CreateWorkflowQuery, YamlWorkflowQuery } from './workflow.dto.js';

/** The body of a POST: JSON of a workflow, or its manifests as YAML. */
export const CreateWorkflowBody = jsonOrText(CreateWorkflow, 'CreateWorkflow');

export type CreateWorkflowRequest =
  | { readonly format: 'json'; readonly workflow: CreateWorkflow }
  | { readonly format: 'yaml'; readonly text: string; readonly query: YamlWorkflowQuery };

/** @throws AppError `request.invalid` when query and body do not fit: only YAML needs, and takes, the query. */
export function readCreateRequest(body: CreateWorkflow | string, query: CreateWorkflowQuery): CreateWorkflowRequest {
  if (typeof body === 'string') {
    const parsed = YamlWorkflowQuery.safeParse(query);
    if (parsed.success) return { format: 'yaml', text: body, query: parsed.data };
    throw AppError.invalid(
      parsed.error.issues.map(({ path, message }) => ({ path: formatPath(path), message })),
      'a YAML body needs ?name=…&clusterId=…&namespace=…; see errors',
    );
  }
  const [parameter] = Object.keys(query);
  if (parameter === undefined) return { format: 'json', workflow: body };
  throw AppError.invalid([{ path: parameter, message: 'belongs into the body; the query is for YAML' }]);
}
