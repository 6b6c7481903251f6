import { z } from 'zod';
import { duration } from '../../config/setting-types.js';

const DURATION = duration();

const MAX_KEYS = 64;
/** Longer than any id of ours: what is cut is none of them, and gets a snapshot. */
export const MAX_EVENT_ID = 128;
/** Subsystems choose their own ids: letters, digits, `.`, `_` and `-`, up to 128. */
const SUBSYSTEM_KEY = 'subsystem:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?';
/** What is followed stands in it as the query of an address does. */
const GATEWAY_RUNS_KEY = 'gateway-runs(?::[A-Za-z0-9*._=&%+~-]{1,8192})?';
const KEY = new RegExp(
  `^(?:(?:workflow|resource|run|cluster|job|tenant):[0-9a-f]{24}|${SUBSYSTEM_KEY}|${GATEWAY_RUNS_KEY}|clusters|subsystems)$`,
);
const KEY_FORMS =
  'workflow:<id>, resource:<id>, run:<id>, cluster:<id>, job:<id> or tenant:<id> with an id of 24 hex digits, ' +
  'subsystem:<id> with the id of the subsystem, clusters, subsystems, or gateway-runs';
/** As Markdown, which would take `<id>` for a tag. */
const DOCUMENTED_FORMS = KEY_FORMS.replaceAll(/\w+:<id>|clusters|subsystems|gateway-runs/g, '`$&`');
const EXAMPLE_KEYS = ['clusters'];

/** What a stream is of; what stands twice counts once. */
export const streamKeys = z
  .array(z.string().regex(KEY, `expected ${KEY_FORMS}`))
  .min(1, `expected 1 to ${MAX_KEYS} stream keys`)
  .max(MAX_KEYS, `expected 1 to ${MAX_KEYS} stream keys`)
  .meta({ description: `Stream keys, 1 to ${MAX_KEYS}: ${DOCUMENTED_FORMS}.`, example: EXAMPLE_KEYS })
  .transform((keys) => [...new Set(keys)]);

/** What every stream takes. */
export const streamQuery = z.strictObject({
  duration: z
    .string()
    .transform((text, context) => {
      try {
        return DURATION.parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: `expected ${DURATION.expected}` });
        return z.NEVER;
      }
    })
    .optional()
    .meta({ description: 'Ends the stream cleanly after this time; without it, it stays open.', example: '5s' }),
  lastEventId: z
    .preprocess((value) => [value].flat().at(-1), z.string().optional())
    .transform((text) => text?.slice(0, MAX_EVENT_ID) || undefined)
    .meta({ description: 'The id of the last event that you have; the header `Last-Event-ID` wins over it.' }),
  ticket: z
    .string()
    .optional()
    .meta({ description: 'A ticket of `POST /streams/tickets` for these keys, instead of an API key.' }),
});

/** Of the stream that names its keys, which a ticket names for it. */
export const multiStreamQuery = streamQuery
  .extend({
    key: z
      .preprocess((value) => (value === undefined ? value : [value].flat()), streamKeys.optional())
      .meta({ description: `${DOCUMENTED_FORMS}; may be repeated, up to ${MAX_KEYS} times.`, example: EXAMPLE_KEYS }),
  })
  .refine(({ key, ticket }) => key !== undefined || ticket !== undefined, {
    path: ['key'],
    message: `name 1 to ${MAX_KEYS} stream keys, or send a ticket`,
  });

const count = (description: string): z.ZodInt => z.int().nonnegative().meta({ description });

export const streamStats = z
  .object({
    sessions: count('Open streams.'),
    sessionsByTopic: z
      .record(z.string(), z.int().nonnegative())
      .meta({ description: 'Open streams by the prefix of their key.' }),
    slowSessions: count('Streams that join, or whose clients take no more for now.'),
    published: count('Changes published to stream keys since the start.'),
    queuedEvents: count('Changes that wait for slow clients, counted for each of them.'),
    queuedBytes: count('Bytes of changes and snapshots held for slow clients; what several wait for counts once.'),
    budgetBytes: count('What queuedBytes may be; beyond it, those that hold most are told that they lag.'),
    warmKeys: count('Stream keys that a client can resume, with readers or without.'),
    replayEvents: count('Changes that clients can resume from.'),
    replayBytes: count('Bytes of these.'),
    replayEvicted: count('Changes let go of for newer ones since the start.'),
    totals: z
      .object({
        events: count('Changes written to clients.'),
        bytes: count('Bytes written to clients.'),
        snapshots: count('Snapshots sent to clients.'),
        snapshotsShared: count('Snapshots that cost no read, because others waited for the same one.'),
        resumed: count('Streams that went on where their client had left.'),
        replayed: count('Changes that these had missed.'),
        lagged: count('Times that a client was told that it missed changes.'),
        dropped: count('Changes given up for slow clients.'),
        coalesced: count('States left out for slow clients, because a later one superseded them.'),
        stalled: count('Streams cut because the client took nothing.'),
      })
      .meta({ description: 'Since the start, over all streams.' }),
  })
  .meta({ id: 'StreamStats' });
