import { z } from 'zod';
import { streamKeys } from '../streams/streams.dto.js';

const KEYS = ['clusters'];
const SECRET = `cst_${'x'.repeat(43)}`;
const time = (description: string): z.ZodString =>
  z.string().meta({ format: 'date-time', description, example: '2026-01-31T12:00:30.000Z' });

export const CreateStreamTicket = z.strictObject({ keys: streamKeys }).meta({
  id: 'CreateStreamTicket',
  description: 'What the stream is to be of.',
  example: { keys: KEYS },
});

export const StreamTicketAnswer = z
  .object({
    id: z.string().meta({ description: 'Revokes the ticket.', example: '65b9f0c2a9b1d3e4f5061728' }),
    ticket: z.string().meta({ description: 'The secret. It is told only here.', example: SECRET }),
    keys: z.array(z.string()).meta({ description: 'The stream keys that it is for.', example: KEYS }),
    firstUseBy: time('By when its stream has to begin.'),
    expiresAt: time('Until when it brings its client back, once used.'),
    path: z.string().meta({
      description: 'Where an EventSource goes with it.',
      example: `/api/v1/streams?ticket=${SECRET}`,
    }),
  })
  .meta({ id: 'StreamTicket' });
