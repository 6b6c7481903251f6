import { AppError, type FieldError } from '../errors/app-error.js';
import { SystemClock } from '../runtime/clock.js';
import { collectAccess } from './access-checks.js';
import type { ClusterCredential, ClusterEndpoint } from './cluster-access.js';
import { joinPath, parseKubeconfigDocument, textAt } from './kubeconfig-document.js';
import { KUBECONFIG_FIELDS, type KubeconfigFields } from './kubeconfig-fields.js';
import { isRecord } from './object-meta.js';

export interface ParsedKubeconfig extends ClusterEndpoint {
  readonly credential: ClusterCredential;
  /** Of the context; undefined when it names none. */
  readonly namespace?: string;
  /** Name of the context that was taken. */
  readonly context: string;
}

export interface KubeconfigOptions {
  /** Absent: `current-context`, or the only one. */
  readonly context?: string;
  /** Milliseconds since the epoch, for certificates that have expired. */
  readonly now?: number;
}

/**
 * Reads an uploaded kubeconfig against an allow-list: only data and tokens are taken; whatever would run a program, read
 * a file, use a proxy or act as somebody else is refused, in any entry, with its path and what to do instead. Nothing but
 * the text is looked at.
 *
 * @throws AppError `request.invalid` with every wrong field at once.
 */
export function parseKubeconfig(text: string, options: KubeconfigOptions = {}): ParsedKubeconfig {
  const root = parseKubeconfigDocument(text);
  const errors: FieldError[] = [];
  if (!isRecord(root)) throw refused([{ path: '', message: 'is not a kubeconfig' }]);
  checkFields(root, '', KUBECONFIG_FIELDS.config, errors);
  checkKind(root, errors);
  const lists = {
    clusters: readNamed(root, 'clusters', 'cluster', KUBECONFIG_FIELDS.namedCluster, KUBECONFIG_FIELDS.cluster, errors),
    users: readNamed(root, 'users', 'user', KUBECONFIG_FIELDS.namedUser, KUBECONFIG_FIELDS.user, errors),
    contexts: readNamed(root, 'contexts', 'context', KUBECONFIG_FIELDS.namedContext, KUBECONFIG_FIELDS.context, errors),
  };
  if (errors.length > 0) throw refused(errors);
  const wanted = options.context ?? textAt(root, 'current-context', '', errors);
  const context = chooseContext(lists.contexts, wanted, options.context === undefined ? 'current-context' : 'context');
  const parsed = readAccess(context, lists, options.now ?? new SystemClock().now(), errors);
  if (errors.length > 0) throw refused(errors);
  return parsed;
}

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface Lists {
  readonly clusters: readonly Entry[];
  readonly users: readonly Entry[];
}

function checkKind(root: Record<string, unknown>, errors: FieldError[]): void {
  const expected = { apiVersion: 'v1', kind: 'Config' };
  for (const [key, value] of Object.entries(expected)) {
    const given = textAt(root, key, '', errors);
    if (given !== undefined && given !== value) errors.push({ path: key, message: `has to be ${value}` });
  }
}

function checkFields(
  value: Record<string, unknown>,
  path: string,
  { used, ignored, refused: known }: KubeconfigFields,
  errors: FieldError[],
): void {
  for (const [key, given] of Object.entries(value)) {
    if (used.includes(key) || ignored.includes(key) || isUnset(given)) continue;
    const message = Object.hasOwn(known, key) ? known[key] : undefined;
    errors.push({ path: joinPath(path, key), message: message ?? 'is not a field of a kubeconfig' });
  }
}

/** As tools write a field that is not used: `insecure-skip-tls-verify: false`, `as: null`. */
function isUnset(value: unknown): boolean {
  return value === null || value === false || value === '';
}

function readNamed(
  root: Record<string, unknown>,
  listKey: 'clusters' | 'users' | 'contexts',
  key: string,
  outer: KubeconfigFields,
  inner: KubeconfigFields,
  errors: FieldError[],
): Entry[] {
  const list = root[listKey] ?? [];
  if (!Array.isArray(list)) {
    errors.push({ path: listKey, message: 'has to be a list' });
    return [];
  }
  const names = new Set<string>();
  return list.flatMap((item: unknown, index): Entry[] => {
    const itemPath = joinPath(listKey, index);
    const path = joinPath(itemPath, key);
    if (!isRecord(item)) {
      errors.push({ path: itemPath, message: 'has to be an object' });
      return [];
    }
    checkFields(item, itemPath, outer, errors);
    const value = item[key] ?? {};
    if (!isRecord(value)) {
      errors.push({ path, message: 'has to be an object' });
      return [];
    }
    checkFields(value, path, inner, errors);
    const name = textAt(item, 'name', itemPath, errors);
    if (name === undefined || names.has(name)) {
      const message = name === undefined ? 'is missing' : 'stands twice in the list';
      errors.push({ path: joinPath(itemPath, 'name'), message });
      return [];
    }
    names.add(name);
    return [{ name, path, value }];
  });
}

function chooseContext(contexts: readonly Entry[], wanted: string | undefined, path: string): Entry {
  const found = wanted === undefined ? contexts[0] : contexts.find((entry) => entry.name === wanted);
  if (found && (wanted !== undefined || contexts.length === 1)) return found;
  const names = contexts.map((entry) => entry.name);
  const listed = names.length === 0 ? 'there is none' : `there are ${names.join(', ')}`;
  const message = wanted === undefined ? `has to be named: ${listed}` : `'${wanted}' is no context of it: ${listed}`;
  throw new AppError('request.invalid', 'the context to use is not clear', {
    errors: [{ path: wanted === undefined ? 'context' : path, message }],
    details: { contexts: names },
  });
}

function readAccess(context: Entry, lists: Lists, now: number, errors: FieldError[]): ParsedKubeconfig {
  const pick = (entries: readonly Entry[], key: string): Entry | undefined => {
    const name = textAt(context.value, key, context.path, errors);
    const entry = entries.find((each) => each.name === name);
    const message = name === undefined ? 'is missing' : `'${name}' is not in the kubeconfig`;
    if (!entry) errors.push({ path: joinPath(context.path, key), message });
    return entry;
  };
  const cluster = pick(lists.clusters, 'cluster');
  const user = pick(lists.users, 'user');
  const namespace = textAt(context.value, 'namespace', context.path, errors);
  if (!cluster || !user) throw refused(errors);

  const clusterText = (key: string): string | undefined => textAt(cluster.value, key, cluster.path, errors);
  const server = clusterText('server');
  const caData = clusterText('certificate-authority-data');
  const tlsServerName = clusterText('tls-server-name');
  const credential = readCredential(user, errors);
  if (server === undefined) errors.push({ path: joinPath(cluster.path, 'server'), message: 'is missing' });
  if (server === undefined || !credential) throw refused(errors);

  const given = {
    server,
    credential,
    ...(caData === undefined ? {} : { caData }),
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
  };
  const paths = {
    server: joinPath(cluster.path, 'server'),
    caData: joinPath(cluster.path, 'certificate-authority-data'),
    tlsServerName: joinPath(cluster.path, 'tls-server-name'),
    token: joinPath(user.path, 'token'),
    certificateData: joinPath(user.path, 'client-certificate-data'),
    keyData: joinPath(user.path, 'client-key-data'),
  };
  const { endpoint, credential: checked } = collectAccess(given, paths, now, errors);
  return { ...endpoint, credential: checked, context: context.name, ...(namespace === undefined ? {} : { namespace }) };
}

/** Exactly one login, so that the one that is checked is the one that is used. */
function readCredential(user: Entry, errors: FieldError[]): ClusterCredential | undefined {
  const token = textAt(user.value, 'token', user.path, errors);
  const certificateData = textAt(user.value, 'client-certificate-data', user.path, errors);
  const keyData = textAt(user.value, 'client-key-data', user.path, errors);
  if (token !== undefined && certificateData === undefined && keyData === undefined) return { type: 'token', token };
  if (token === undefined && certificateData !== undefined && keyData !== undefined) {
    return { type: 'client-certificate', certificateData, keyData };
  }
  const message =
    token === undefined && certificateData === undefined && keyData === undefined
      ? 'holds no login: it needs a token, or client-certificate-data with client-key-data'
      : 'needs either a token alone, or client-certificate-data with client-key-data';
  errors.push({ path: user.path, message });
  return undefined;
}

function refused(errors: readonly FieldError[]): AppError {
  return AppError.invalid(errors, 'the kubeconfig cannot be used as it is; see errors for each field');
}
