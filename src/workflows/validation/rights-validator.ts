import { Inject, Injectable } from '@nestjs/common';
import {
  isAllowed,
  type KubernetesApi,
  KubernetesApiError,
  KubernetesApis,
  ownUserName,
} from '../../kubernetes/index.js';
import { counted } from '../../runtime/counted.js';
import { askingCluster, type ClusterApis, inParallel } from './asking-cluster.js';
import { warningProblem } from './problem.js';
import { requiredRights, type RequiredRights, type Verb, VERBS } from './required-rights.js';
import type { Finding, Problem, ValidateWorkflow, Validator } from './validator.js';

/** Verbs that a rule with `resourceNames` can grant for single objects. */
const NAMEABLE: ReadonlySet<Verb> = new Set(['get', 'create', 'patch', 'delete']);

interface MissingRights {
  readonly rights: RequiredRights;
  readonly verbs: readonly Verb[];
}

/** Whether the credential is allowed what runs and watches need, by SelfSubjectAccessReviews. */
@Injectable()
export class RightsValidator implements Validator {
  readonly name = 'rights';

  constructor(@Inject(KubernetesApis) private readonly apis: ClusterApis) {}

  validate({ workflow }: ValidateWorkflow, signal: AbortSignal): Promise<Finding> {
    const { namespace } = workflow;
    return askingCluster(this.apis, workflow, signal, async (api) => {
      const required = requiredRights(workflow);
      const asked = required.flatMap((rights) => [...rights.verbs.keys()].map((verb) => ({ rights, verb })));
      const denied = new Set<(typeof asked)[number]>();
      try {
        await inParallel(asked, signal, async (right, ended) => {
          if (!(await isGranted(api, namespace, right, ended))) denied.add(right);
          return [];
        });
      } catch (error) {
        if (!(error instanceof KubernetesApiError) || !isRefused(error)) throw error;
        const message = 'the cluster does not say what the credential is allowed: SelfSubjectAccessReviews are refused';
        return { summary: null, problems: [warningProblem(message, { hint: 'bind the role system:basic-user' })] };
      }
      const missing = required.flatMap((rights): MissingRights[] => {
        const ofKind = [...denied].filter((right) => right.rights === rights);
        const verbs = VERBS.filter((verb) => ofKind.some((right) => right.verb === verb));
        return verbs.length === 0 ? [] : [{ rights, verbs }];
      });
      const user = missing.length === 0 ? undefined : await ownUserName(api, signal);
      const rights = counted(asked.length, 'right');
      const summary = `${rights} on ${counted(required.length, 'kind')} in namespace ${namespace}`;
      return { summary, problems: missing.map((each) => problemOf(each, namespace, user)) };
    });
  }
}

function isRefused({ failure }: KubernetesApiError): boolean {
  return failure === 'forbidden' || failure === 'not-found';
}

/** For all objects of the kind, or for each of those that the workflow has. */
async function isGranted(
  api: KubernetesApi,
  namespace: string,
  { rights, verb }: { readonly rights: RequiredRights; readonly verb: Verb },
  signal: AbortSignal,
): Promise<boolean> {
  const { definition, objects } = rights;
  if (await isAllowed(api, { verb, definition, namespace }, signal)) return true;
  if (!NAMEABLE.has(verb) || objects.length === 0) return false;
  for (const { name } of objects) {
    if (!(await isAllowed(api, { verb, definition, namespace, name }, signal))) return false;
  }
  return true;
}

function problemOf({ rights, verbs }: MissingRights, namespace: string, user: string | undefined): Problem {
  const { group, plural } = rights.definition;
  const resource = group === '' ? plural : `${plural}.${group}`;
  const isFatal = verbs.some((verb) => rights.verbs.get(verb) === 'error');
  const [first, ...others] = rights.objects;
  return {
    severity: isFatal ? 'error' : 'warning',
    nodeId: first !== undefined && others.length === 0 ? first.nodeId : null,
    path: null,
    message: `not allowed to ${verbs.join(', ')} ${resource} in namespace ${namespace}: ${consequence(verbs, rights)}`,
    hint: grantOf(`crowsnest-${plural}`, { namespace, verbs, resource }, user),
  };
}

function consequence(verbs: readonly Verb[], rights: RequiredRights): string {
  const lacks = (...some: readonly Verb[]): boolean => some.some((verb) => verbs.includes(verb));
  const isAwaited = rights.verbs.get('watch') === 'error';
  return [
    ...(lacks('get', 'create', 'patch') ? ['an execution cannot apply them'] : []),
    ...(lacks('list', 'watch') && isAwaited ? ['an edge waits for a health that cannot be seen'] : []),
    ...(lacks('list', 'watch') && !isAwaited ? ['health that depends on them cannot be seen'] : []),
    ...(lacks('delete') ? ['archiving cannot delete them'] : []),
  ].join('; ');
}

/** The commands that grant exactly what is missing. */
function grantOf(
  role: string,
  rule: { readonly namespace: string; readonly verbs: readonly Verb[]; readonly resource: string },
  user: string | undefined,
): string {
  const create = `kubectl -n ${rule.namespace} create`;
  return (
    `${create} role ${role} --verb=${rule.verbs.join(',')} --resource=${rule.resource} && ` +
    `${create} rolebinding ${role} --role=${role} ${subjectOf(user)}`
  );
}

function subjectOf(user: string | undefined): string {
  if (user === undefined) return '--user=<user of the credential>';
  const [, account] = /^system:serviceaccount:([a-z0-9-]+:[a-z0-9.-]+)$/.exec(user) ?? [];
  if (account !== undefined) return `--serviceaccount=${account}`;
  return /^[\w@.:/-]+$/.test(user) ? `--user=${user}` : `--user='${user.replaceAll("'", `'\\''`)}'`;
}
