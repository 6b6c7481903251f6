import { z } from 'zod';
import { AppError } from '../errors/app-error.js';
import { formatPath } from '../http/validation.pipe.js';
import { CreateWorkflow, type CreateWorkflowQuery, YamlWorkflowQuery } from './workflow.dto.js';

/** The body of a POST: text if it came as YAML, else JSON of a workflow. A union would hide which field is wrong. */
export const CreateWorkflowBody = z.unknown().transform((body, context): CreateWorkflow | string => {
  if (typeof body === 'string') return body;
  const parsed = CreateWorkflow.safeParse(body);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    // Zod tells an unknown field at the object that has it.
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
    for (const key of keys) context.addIssue({ code: 'custom', path: [...issue.path, key], message: 'is not a field' });
    if (keys.length === 0) context.addIssue({ code: 'custom', path: issue.path, message: issue.message });
  }
  return z.NEVER;
});

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
