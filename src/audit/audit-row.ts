import { Types } from 'mongoose';
import type { AuthenticationTag, Authenticator } from '../sealing/index.js';
import type { AuditActor, AuditDetail, AuditEntry, AuditTarget } from './audit-entry.js';
import { canonical } from './canonical.js';

/** What is stored in `audit_logs`. Written once; only sealing sets `segment`, only retention removes whole segments. */
export interface AuditRow {
  /** Its time is `at` to the second, so that `_id` orders by time. */
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly at: Date;
  readonly actor: AuditActor;
  readonly action: string;
  readonly target: AuditTarget | null;
  readonly outcome: 'success' | 'failure';
  readonly reason: string | null;
  readonly method: string | null;
  readonly route: string | null;
  readonly status: number | null;
  readonly requestId: string | null;
  readonly detail: AuditDetail;
  /** Proves every field but itself and `segment`, so that nobody without the key adds or changes a row. */
  readonly tag: AuthenticationTag;
  /** Number of the segment that it is sealed in; null until then. */
  readonly segment: number | null;
}

const MAX_TEXT = 1_000;
const MAX_DETAILS = 32;
const MAX_LISTED = 100;
const MAX_LISTED_TEXT = 200;

export function auditRow(entry: AuditEntry, now: Date, authenticator: Authenticator): AuditRow {
  const { tenantId, action, outcome, request, at = now } = entry;
  const content = {
    _id: new Types.ObjectId(Types.ObjectId.generate(Math.floor(at.getTime() / 1_000))),
    tenantId: shortened(tenantId),
    at,
    actor: { kind: entry.actor.kind, id: shortened(entry.actor.id) },
    action,
    target: entry.target && { type: entry.target.type, id: shortened(entry.target.id) },
    outcome,
    reason: entry.reason === undefined ? null : shortened(entry.reason),
    method: request?.method ?? null,
    route: request?.route ?? null,
    status: request?.status ?? null,
    requestId: request?.requestId ?? null,
    detail: bounded(entry.detail ?? {}),
  };
  return { ...content, tag: authenticator.tag(canonical(content)), segment: null };
}

/** What tags and segments' hashes are made over: whatever is stored, also fields that nobody should have added. */
export function contentOf({ tag: _tag, segment: _segment, ...content }: AuditRow): string {
  return canonical(content);
}

function bounded(detail: AuditDetail): AuditDetail {
  const entries = Object.entries(detail).slice(0, MAX_DETAILS);
  return Object.fromEntries(entries.map(([name, value]) => [name, boundedValue(value)]));
}

function boundedValue(value: AuditDetail[string]): AuditDetail[string] {
  if (typeof value === 'string') return shortened(value);
  if (typeof value !== 'object') return value;
  return value.slice(0, MAX_LISTED).map((text) => shortened(text, MAX_LISTED_TEXT));
}

/** Well-formed, because lone surrogates do not survive being stored as UTF-8. */
function shortened(text: string, maxLength = MAX_TEXT): string {
  return text.slice(0, maxLength).toWellFormed();
}
