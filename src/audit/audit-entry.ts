import type { Principal } from '../auth/index.js';

export interface AuditActor {
  readonly kind: Principal['kind'];
  /** As `Principal.id`: a stable name, never a secret. */
  readonly id: string;
}

export interface AuditTarget {
  /** Singular, as in actions: `workflow`, `agent`, `api-key`. */
  readonly type: string;
  readonly id: string;
}

/** A list holds at most 100 texts, each cut to 200 characters. */
export type AuditDetail = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Something that was done, or tried. Never with a secret: rows outlive credentials and leave by export. */
export interface AuditEntry {
  /** Whose it is; `*` for what belongs to no tenant, seen by admins of all tenants only. */
  readonly tenantId: string;
  readonly actor: AuditActor;
  /** `<what>.<deed>`, as in `agent.revoke`. */
  readonly action: string;
  readonly target: AuditTarget | null;
  readonly outcome: 'success' | 'failure';
  /** Stable code of why it failed. */
  readonly reason?: string;
  readonly detail?: AuditDetail;
  /** Absent: now. */
  readonly at?: Date;
  /** Of a request. */
  readonly request?: AuditRequest;
}

export interface AuditRequest {
  readonly method: string;
  /** Template of the path: `/api/v1/workflows/:id/execute`. */
  readonly route: string;
  readonly status: number;
  readonly requestId: string | null;
}
