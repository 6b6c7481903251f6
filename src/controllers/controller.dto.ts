import { z } from 'zod';

const time = z.iso.datetime();
const timeOrNull = (description: string) => time.nullable().meta({ description });

/** Any name; one that is not registered is not found. */
export const controllerName = z.string().meta({ example: 'job-recovery' });

const CONTROLLER_STATES = ['waiting', 'running', 'failing', 'paused'] as const;

export const ControllerAnswer = z
  .object({
    name: z.string(),
    state: z.enum(CONTROLLER_STATES).meta({
      description: 'Waiting for its next round, in the middle of one, failing since the last one, or paused.',
    }),
    periodMs: z.int(),
    timeoutMs: z.int().meta({ description: 'After which a round is aborted.' }),
    overdue: z.boolean().meta({ description: 'Whether it has not succeeded for three periods.' }),
    leader: z
      .object({
        holder: z.string().meta({ description: 'Random name of the replica, told in its log when it takes over.' }),
        isThisReplica: z.boolean(),
        epoch: z.int().meta({ description: 'Grows whenever another replica takes over.' }),
        since: time,
      })
      .nullable()
      .meta({ description: 'The replica that runs it; null until one has taken over.' }),
    nextRunAt: timeOrNull('Null while it is paused.'),
    startedAt: timeOrNull('Of the round in progress.'),
    lastRunAt: timeOrNull('When the last round that came to an end was begun.'),
    lastSuccessAt: timeOrNull('When the last one that succeeded ended.'),
    lastOutcome: z.enum(['success', 'failure']).nullable(),
    durationMs: z.int().nullable().meta({ description: 'Of the last round.' }),
    processed: z.int().nullable().meta({ description: 'Items that the last round looked at.' }),
    changed: z.int().nullable().meta({ description: 'Items that the last round had to change.' }),
    detail: z
      .record(z.string(), z.union([z.number(), z.string()]))
      .nullable()
      .meta({ description: 'Further figures of the last round; for principals of all tenants.' }),
    consecutiveErrors: z.int().meta({ description: 'Rounds that failed since the last one that succeeded.' }),
    lastErrorAt: timeOrNull('When a round failed last.'),
    lastError: z.string().nullable().meta({ description: 'What it said; for admins of all tenants, else null.' }),
    pausedBy: z.string().nullable(),
    version: z.int(),
    updatedAt: time,
  })
  .meta({
    id: 'Controller',
    description: 'A reconciler, which again and again brings the stored state to what it should be.',
    example: {
      name: 'job-recovery',
      state: 'waiting',
      periodMs: 60_000,
      timeoutMs: 60_000,
      overdue: false,
      leader: {
        holder: '0b0f2f0c-6d0a-4a53-9a3c-2d5f0c6f7f5e',
        isThisReplica: true,
        epoch: 1,
        since: '2026-01-01T00:00:00.000Z',
      },
      nextRunAt: '2026-01-01T00:02:03.000Z',
      startedAt: null,
      lastRunAt: '2026-01-01T00:01:00.000Z',
      lastSuccessAt: '2026-01-01T00:01:00.012Z',
      lastOutcome: 'success',
      durationMs: 12,
      processed: 3,
      changed: 1,
      detail: null,
      consecutiveErrors: 0,
      lastErrorAt: null,
      lastError: null,
      pausedBy: null,
      version: 5,
      updatedAt: '2026-01-01T00:01:00.012Z',
    },
  });
export type ControllerAnswer = z.infer<typeof ControllerAnswer>;

export const ControllerList = z.object({ items: z.array(ControllerAnswer) }).meta({ id: 'ControllerList' });
export type ControllerList = z.infer<typeof ControllerList>;
