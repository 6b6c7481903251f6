export { type CheckedClusterAccess, type GivenClusterAccess, checkAccess } from './access-checks.js';
export { type AskedAccess, isAllowed, ownUserName } from './access-reviews.js';
export { type FieldConflict, type Refusal } from './apply-refusal.js';
export {
  type ClusterAccess,
  type ClusterAccessProvider,
  type ClusterCredential,
  type ClusterEndpoint,
} from './cluster-access.js';
export { type KindDefinition, KINDS, apiVersionOf, findKind, findKindByAlias, pathOf } from './kinds.js';
export {
  type ApiCall,
  type ApiResponse,
  type KubernetesApi,
  KubernetesApiError,
  type KubernetesFailure,
  type StatusCause,
  type WatchCall,
} from './kubernetes-api.js';
export { type KubeconfigOptions, type ParsedKubeconfig, parseKubeconfig } from './kubeconfig-parser.js';
export { KubernetesApis } from './kubernetes-apis.js';
export {
  type ApplyOptions,
  type ApplyResult,
  type DeleteOptions,
  FIELD_MANAGER,
  type ObjectReference,
  applyObject,
  deleteObject,
  getMetadata,
} from './kubernetes-objects.js';
export { KubernetesModule } from './kubernetes.module.js';
export { LIST_PAGE_SIZE, type ListOptions, type ObjectPage, listObjects } from './list-objects.js';
export { type FieldManager, managerNames, managersOf } from './managed-fields.js';
export { type NamespaceState, readNamespace } from './namespaces.js';
export { type KubernetesObject, type ManagedFieldsEntry, type ObjectMeta, type OwnerReference } from './object-meta.js';
export { serverVersion } from './server-version.js';
export { PodServiceAccount } from './service-account.js';
export { type WatchEvent, type WatchOptions, watchObjects } from './watch-objects.js';
