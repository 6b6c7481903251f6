import { z } from 'zod';
import { TAMPERINGS } from './tampering.js';
import { dnsLabel, objectId, pageQuery, pageSchema } from '../http/index.js';

const repeated = <T extends z.ZodType>(item: T) =>
  z.union([item.transform((one) => [one]), z.array(item).max(100)]).optional();

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

export const ListAuditLogsQuery = z
  .strictObject({
    ...pageQuery,
    actor: repeated(z.string().max(253)).meta({ description: 'Id of who did it.', example: 'ada' }),
    action: repeated(z.string().max(100)).meta({ description: 'What was done.', example: 'workflow.execute' }),
    target: z.string().max(253).optional().meta({ description: 'Id of what it was done to.' }),
    targetType: z
      .string()
      .max(100)
      .optional()
      .meta({ description: 'Its type, beside `target`: workflow, for example.' }),
    outcome: z.enum(['success', 'failure']).optional(),
    tenantId: z.union([dnsLabel, z.literal('*')]).optional(),
    since: time.optional().meta({ description: 'RFC 3339: of this time or later.', example: '2026-03-01T00:00:00Z' }),
    until: time.optional().meta({ description: 'RFC 3339: before this time.' }),
  })
  .refine(({ target, targetType }) => targetType === undefined || target !== undefined, {
    path: ['target'],
    message: 'expected with targetType',
  });
export type ListAuditLogsQuery = z.infer<typeof ListAuditLogsQuery>;

export const AuditLogAnswer = z
  .object({
    id: objectId,
    tenantId: z.string().meta({ description: '`*`: of no tenant.' }),
    at: z.iso.datetime(),
    actor: z.object({ kind: z.enum(['user', 'agent', 'subsystem']), id: z.string() }),
    action: z.string(),
    target: z.object({ type: z.string(), id: z.string() }).nullable(),
    outcome: z.enum(['success', 'failure']),
    reason: z.string().nullable().meta({ description: 'Code of why it failed.' }),
    method: z.string().nullable(),
    route: z.string().nullable(),
    status: z.int().nullable(),
    requestId: z.string().nullable(),
    detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string()).readonly()])),
    segment: z
      .int()
      .nullable()
      .meta({ description: 'Number of the segment it is sealed in; null for about a minute.' }),
  })
  .meta({ id: 'AuditLog' });
export type AuditLogAnswer = z.infer<typeof AuditLogAnswer>;

export const AuditLogPage = pageSchema(AuditLogAnswer, 'AuditLogPage');

const segmentNumber = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional();

export const VerifyAuditLogsQuery = z
  .strictObject({
    from: segmentNumber.meta({
      description: 'Number of the first segment, up to that of the newest; absent: the oldest there is.',
      example: 1,
    }),
    to: segmentNumber.meta({ description: 'Number of the last, not before `from`; absent: the newest.' }),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    path: ['from'],
    message: 'expected at most `to`',
  });
export type VerifyAuditLogsQuery = z.infer<typeof VerifyAuditLogsQuery>;

export const AuditVerdictAnswer = z
  .object({
    status: z.enum(['intact', 'broken', 'undecided']).meta({
      description: '`undecided`: sealed with keys that are not in CROWSNEST_SEALING_KEY any more.',
    }),
    firstBadSegment: z.int().nullable(),
    findings: z
      .array(
        z.object({
          segment: z.int().nullable().meta({ description: 'null: rows that are not sealed yet.' }),
          problem: z.enum(TAMPERINGS),
          rowIds: z.array(z.string()).meta({ description: 'Rows that are not authentic, at most 5.' }),
        }),
      )
      .meta({ description: 'At most 100.' }),
    findingsCount: z.int(),
    from: z.int().nullable(),
    to: z.int().nullable(),
    segments: z.int(),
    rows: z.int(),
    unsealedRows: z.int().meta({ description: 'Of those that were removed again nobody would know.' }),
    newest: z
      .object({ segment: z.int(), tag: z.string() })
      .nullable()
      .meta({ description: 'Kept elsewhere, it proves later that nothing up to there was removed.' }),
    anchor: z
      .object({ segment: z.int(), segments: z.int(), rows: z.int() })
      .nullable()
      .meta({ description: 'What retention has removed so far, up to which segment.' }),
  })
  .meta({ id: 'AuditVerdict' });
