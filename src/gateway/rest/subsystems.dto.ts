import { z } from 'zod';
import { pageSchema } from '../../http/index.js';
import { CALL_BACK_FAILURES } from '../registry/call-back-failure.js';
import { DESCRIPTION_LIMITS, SUBSYSTEM_ID_RULE, metadataProblems, readEndpoint } from '../registry/register-request.js';
import { SUBSYSTEM_ID } from '../registry/subsystem-key.js';
import { gatewayPageQuery, repeated } from './gateway-query.js';
import { offered, offeredSchemas } from './offered.js';

const STATES = ['connecting', 'connected', 'stale'] as const;

const subsystemId = z.string().regex(SUBSYSTEM_ID, SUBSYSTEM_ID_RULE);

export const RegisterSubsystem = z
  .strictObject({
    id: subsystemId.meta({
      description: 'Unique over all tenants: letters, digits, `.`, `_` and `-`, up to 128.',
      example: 'billing',
    }),
    name: z.string().max(DESCRIPTION_LIMITS.name).default('').meta({ description: 'The id if absent.' }),
    description: z.string().max(DESCRIPTION_LIMITS.description).default(''),
    endpoint: z
      .string()
      .max(2_048)
      .superRefine((text, context) => {
        const endpoint = readEndpoint(text);
        if (typeof endpoint === 'string') context.addIssue({ code: 'custom', message: endpoint });
      })
      .meta({ description: 'Where it serves FlowWatch: scheme, host and port.', example: 'http://10.0.0.7:8090' }),
    metadata: z
      .record(z.string(), z.string())
      .superRefine((metadata, context) => {
        for (const message of metadataProblems(metadata)) context.addIssue({ code: 'custom', message });
      })
      .default({}),
  })
  .meta({ id: 'RegisterSubsystem', example: { id: 'billing', endpoint: 'http://10.0.0.7:8090' } });
export type RegisterSubsystem = z.infer<typeof RegisterSubsystem>;

export const ListSubsystemsQuery = z.strictObject({
  limit: gatewayPageQuery.limit,
  cursor: subsystemId.optional().meta({ description: '`nextCursor` of the page before.' }),
  state: repeated(z.enum(STATES), STATES.length),
});
export type ListSubsystemsQuery = z.infer<typeof ListSubsystemsQuery>;

const time = z.iso.datetime();
const state = z.enum(STATES).meta({
  description:
    '`connecting`: it lives, but cannot be called (yet), and is not asked. `connected`: it is asked. `stale`: it has not answered, and is not asked.',
});

export const SubsystemAnswer = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    name: z.string(),
    description: z.string(),
    state,
    instances: z.array(
      z.object({
        endpoint: z.string(),
        source: z.enum(['stream', 'rest']).meta({ description: 'Registered itself, or by a person.' }),
        state,
        sessions: z.int().meta({ description: 'Registrations of this endpoint that are open.' }),
        lastBeatAt: time,
        roundTripMs: z.int().nullable(),
        failure: z
          .enum(CALL_BACK_FAILURES)
          .nullable()
          .meta({
            description:
              'Why it cannot be called: nothing is reached (`dns`, `not_allowed` by the egress policy, `refused`, `tls`, ' +
              '`timeout`, `cut`), what answers is no FlowWatch (`redirected`, `not_connect`, `loop`: this gateway ' +
              'itself), or it answers badly (`unreadable`, `unimplemented`, `unavailable`, `failed`). Null if it can be.',
          }),
      }),
    ),
    capabilities: z
      .object({
        ...offeredSchemas,
        search: offered,
      })
      .nullable()
      .meta({ description: 'Null until it was called.' }),
    workflowCount: z.int(),
    metadata: z.record(z.string(), z.string()),
    registeredAt: time,
    lastBeatAt: time.nullable(),
    roundTripMs: z.int().nullable(),
  })
  .meta({ id: 'Subsystem' });
export type SubsystemAnswer = z.infer<typeof SubsystemAnswer>;

export const SubsystemPage = pageSchema(SubsystemAnswer, 'SubsystemPage');
