import { AppError, type FieldError } from '../errors/app-error.js';
import { jsonOrText } from '../http/index.js';
import { formatPath } from '../http/issues.js';
import { CreateCluster, type CreateClusterQuery } from './cluster.dto.js';

/** The body of a registration: our JSON, or the text of a kubeconfig. */
export const CreateClusterBody = jsonOrText(CreateCluster, 'CreateCluster');

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
  if (body.trim() === '') {
    const message = 'the body is empty: has `kubectl config view --raw --flatten --minify` printed anything?';
    throw AppError.invalid([{ path: 'kubeconfig.text', message }]);
  }
  const read = CreateCluster.safeParse({ name, namespaces, tenantId, kubeconfig: { text: body, context } });
  if (read.success) return read.data;
  throw AppError.invalid(
    read.error.issues.map(({ path, message }) => ({ path: formatPath(path as (string | number)[]), message })),
  );
}
