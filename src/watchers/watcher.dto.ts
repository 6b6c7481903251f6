import { z } from 'zod';
import { FRESHNESSES } from './resource.js';

const time = z.iso.datetime();

export const WatcherAnswer = z
  .object({
    clusterId: z.string(),
    kind: z.string(),
    namespace: z.string().nullable().meta({ description: 'Null: one watch of the whole cluster.' }),
    namespaces: z.array(z.string()).meta({ description: 'The namespaces whose objects are kept.' }),
    state: z.enum(['listing', 'watching', 'waiting', 'forbidden', 'unauthorized', 'stopped']),
    freshness: z.enum(FRESHNESSES),
    lastEventAt: time.nullable().meta({ description: 'Of the last list, event or bookmark.' }),
    restarts: z.int().meta({ description: 'Lists and watches begun again after a failure.' }),
    error: z
      .object({
        verb: z.enum(['list', 'watch']),
        resource: z.string(),
        namespace: z.string().nullable(),
        message: z.string(),
      })
      .nullable()
      .meta({ description: 'The last failure, until the watch stands again.' }),
  })
  .meta({ id: 'Watcher', description: 'One list-and-watch, shared by all resources that need it.' });
export type WatcherAnswer = z.infer<typeof WatcherAnswer>;

export const WatcherList = z.object({ items: z.array(WatcherAnswer) }).meta({ id: 'WatcherList' });
export type WatcherList = z.infer<typeof WatcherList>;
