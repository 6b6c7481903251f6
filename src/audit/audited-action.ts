import type { AuditTarget } from './audit-entry.js';

export interface AuditedAction {
  readonly action: string;
  /** What the path names last; null when the request makes something. */
  readonly target: AuditTarget | null;
  /** Of what `action` is about: the type of what a request made. */
  readonly type: string;
}

/** `gateway` is where its things stand, and none itself. */
const PREFIX = /^\/api\/v1\/(?:gateway\/)?/;
const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'update', DELETE: 'delete' };

/**
 * What a request does, from the template of its route: `POST /api/v1/workflows/:id/execute` is `workflow.execute`. Plurals
 * in a path are things, the rest are verbs; what is below an object of its own (`runs/:runId`) is named by itself.
 */
export function auditedAction(
  method: string,
  route: string,
  params: Readonly<Record<string, string | readonly string[] | undefined>>,
): AuditedAction {
  const parts = route.replace(PREFIX, '').split('/').filter(Boolean);
  let things: string[] = [];
  let verb = VERBS[method] ?? method.toLowerCase();
  let target: AuditTarget | null = null;
  for (const [index, part] of parts.entries()) {
    if (part.startsWith(':')) {
      target = { type: things.join('.'), id: String(params[part.slice(1)] ?? '') };
    } else if (!part.endsWith('s')) {
      verb = part;
    } else {
      const isNamed = parts[index + 1]?.startsWith(':') ?? false;
      things = isNamed && target ? [singular(part)] : [...things, singular(part)];
    }
  }
  const type = things.join('.');
  return { action: `${type || 'service'}.${verb}`, target, type };
}

function singular(plural: string): string {
  return plural.slice(0, -1);
}
