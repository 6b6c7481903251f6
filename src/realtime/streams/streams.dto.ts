import { z } from 'zod';

export const streamQuery = z.strictObject({
  duration: z
    .string()
    .regex(/^\d{1,9}(ms|s|m|h)$/, 'expected a duration like 500ms, 5s, 10m or 1h')
    .optional()
    .meta({ description: 'Ends the stream cleanly after this time; without it, it stays open.', example: '5s' }),
});

const count = (description: string): z.ZodInt => z.int().nonnegative().meta({ description });

export const streamStats = z
  .object({
    sessions: count('Open streams.'),
    sessionsByTopic: z
      .record(z.string(), z.int().nonnegative())
      .meta({ description: 'Open streams by the prefix of their key.' }),
    published: count('Changes published to stream keys since the start.'),
    queuedEvents: count('Changes that wait for slow clients.'),
    queuedBytes: count('Bytes that wait for slow clients.'),
    totals: z
      .object({
        events: count('Changes written to clients.'),
        bytes: count('Bytes written to clients.'),
        snapshots: count('Snapshots sent to clients.'),
        lagged: count('Times that a client was told that it missed changes.'),
        dropped: count('Changes given up for slow clients.'),
        coalesced: count('States left out for slow clients, because a later one superseded them.'),
        stalled: count('Streams cut because the client took nothing.'),
      })
      .meta({ description: 'Since the start, over all streams.' }),
  })
  .meta({ id: 'StreamStats' });
