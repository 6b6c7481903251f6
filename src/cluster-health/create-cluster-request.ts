import { z } from 'zod';
import { AppError, type FieldError } from '../errors/app-error.js';
import { CreateCluster, type CreateClusterQuery } from './cluster.dto.js';

/** What a transform takes is unknown to OpenAPI unless it says so. */
const DOCUMENTED = z.unknown().meta({ $ref: '#/components/schemas/CreateCluster' });

/** The body of a registration: our JSON, or the text of a kubeconfig, which the body parser leaves as a string. */
export const CreateClusterBody = DOCUMENTED.transform((body, context): CreateCluster | string => {
  if (typeof body === 'string') return body;
  const parsed = CreateCluster.safeParse(body);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    const paths = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    for (const path of paths) context.addIssue({ code: 'custom', path, message: issue.message, input: body });
  }
  return z.NEVER;
});

/** One input from body and query: the query says what a kubeconfig does not, and nothing beside JSON. */
export function readCreateRequest(body: CreateCluster | string, query: CreateClusterQuery): CreateCluster {
  if (typeof body !== 'string') {
    const stray = Object.keys(query).map((path): FieldError => ({ path, message: 'belongs into the JSON body' }));
    if (stray.length > 0) throw AppError.invalid(stray);
    return body;
  }
  const { name, context, namespaces, tenantId } = query;
  if (name === undefined) {
    throw AppError.invalid([{ path: 'name', message: 'is missing: add ?name=… to the URL' }]);
  }
  return CreateCluster.parse({ name, namespaces, tenantId, kubeconfig: { text: body, context } });
}
