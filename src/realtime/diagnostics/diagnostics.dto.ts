import { z } from 'zod';

const repeated = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(item).max(50)).optional();

export const recentEventsQuery = z.strictObject({
  type: repeated(z.string().min(1).max(100)).meta({ description: 'Only events of these types.', example: [] }),
  since: z.iso
    .datetime({ offset: true })
    .optional()
    .meta({ description: 'Only events published then or later (RFC 3339).', example: '2026-01-31T12:00:00.000Z' }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(50)
    .meta({ description: 'How many items at most, 1 to 200.', example: 50 }),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'expected `nextCursor` of the page before')
    .optional()
    .meta({ description: '`nextCursor` of the page before.' }),
});

const recentEvent = z
  .object({
    sequence: z.int().positive().meta({ description: 'Order of publication, from 1, without gaps.' }),
    type: z.string().meta({ example: 'resource.changed' }),
    timestamp: z.iso.datetime().meta({ description: 'When it was published.' }),
    coalesceKey: z
      .string()
      .nullable()
      .meta({ description: 'If it is a state: a later event of the type with this key supersedes it.' }),
    payload: z.unknown().meta({ description: 'What subscribers get.' }),
  })
  .meta({ id: 'RecentEvent' });

export const recentEvents = z
  .object({ items: z.array(recentEvent), nextCursor: z.string().nullable() })
  .meta({ id: 'RecentEvents', description: 'Newest first, as far back as CROWSNEST_EVENT_HISTORY_SIZE reaches.' });

const count = (description: string): z.ZodInt => z.int().nonnegative().meta({ description });

const subscription = z
  .object({
    name: z.string(),
    types: z.array(z.string()).meta({ description: 'The event types that it gets.' }),
    state: z.enum(['live', 'waiting']).meta({ description: '`waiting` for leadership.' }),
    leaderOnly: z.boolean(),
    lossy: z.boolean().meta({ description: 'Its losses are expected and only counted.' }),
    overflow: z.enum(['coalesce', 'drop-oldest', 'drop-newest', 'error']).meta({
      description: 'What happens to one event more than the buffer holds.',
    }),
    bufferSize: count('Events that may wait.'),
    depth: count('Events that wait.'),
    highWater: count('The most events that ever waited.'),
    lagMs: count('Age of the oldest event that waits.'),
    handled: count('Events given to the handler.'),
    superseded: count('States left out for a later one.'),
    dropped: count('Events lost to a full buffer.'),
    errors: count('Events whose handler failed.'),
  })
  .meta({ id: 'Subscription' });

export const subscriptions = z
  .object({
    items: z.array(subscription),
    dropped: z
      .object({
        critical: count('Of subscriptions that must not lose any: alert above 0.'),
        observability: count('Of lossy subscriptions: expected under load.'),
        total: count('The sum of both.'),
      })
      .meta({ description: 'Events lost since the start, those of ended subscriptions included.' }),
    paused: z.boolean().meta({ description: 'Whether events are kept back instead of delivered.' }),
  })
  .meta({ id: 'Subscriptions' });
