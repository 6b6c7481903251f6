import { z } from 'zod';
import { VERDICTS } from './validation-report.js';
import { VALIDATOR_NAMES } from './validator.js';

const MIN_TIMEOUT_MS = 1_000;
const MAX_TIMEOUT_MS = 30_000;
const UNIT_MS = { ms: 1, s: 1_000 } as const;

const timeout = z
  .string()
  .refine(isTimeout, 'expected a duration from 1s to 30s, like 10s or 1500ms')
  .default('10s')
  .meta({ description: 'How long to wait for the validators, 1s to 30s.', example: '10s' });

export const ValidateWorkflowQuery = z.strictObject({ timeout });
export type ValidateWorkflowQuery = z.infer<typeof ValidateWorkflowQuery>;

function isTimeout(text: string): boolean {
  const ms = toMs(text);
  return ms >= MIN_TIMEOUT_MS && ms <= MAX_TIMEOUT_MS;
}

/** NaN for what is no duration. */
export function toMs(text: string): number {
  const [, value, unit] = /^(\d{1,5})(ms|s)$/.exec(text) ?? [];
  return value === undefined ? Number.NaN : Number(value) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

const durationMs = z.int().nonnegative();

const ProblemAnswer = z
  .object({
    severity: z
      .enum(['error', 'warning'])
      .meta({ description: '`error`: an execution would fail; `warning`: it may.' }),
    nodeId: z.string().nullable().meta({ description: 'null: of the whole workflow.' }),
    path: z.string().nullable().meta({
      description: 'Field of the definition, or of the object as the API server names it.',
    }),
    message: z.string(),
    hint: z.string().nullable().meta({ description: 'What to do.' }),
  })
  .meta({ id: 'ValidationProblem' });

const VerdictAnswer = z
  .object({
    validator: z.enum(VALIDATOR_NAMES),
    verdict: z.enum(VERDICTS).meta({
      description:
        'By the worst problem: `passed`, `warning`, `failed`. `skipped`: it had nothing to judge, for a reason that ' +
        'another one tells; `unanswered`: not within the timeout; `error`: the validator itself broke.',
    }),
    durationMs: durationMs.nullable(),
    summary: z.string().nullable().meta({ description: 'What was looked at.' }),
    problems: z.array(ProblemAnswer).meta({ description: 'Errors first, at most 100.' }),
  })
  .meta({ id: 'ValidatorVerdict' });

const passed = (validator: string, ms: number, summary: string) => ({
  validator,
  verdict: 'passed',
  durationMs: ms,
  summary,
  problems: [],
});

export const ValidationAnswer = z
  .object({
    valid: z.boolean().meta({ description: 'Whether every validator has answered and none has found an error.' }),
    checkedAt: z.iso.datetime(),
    durationMs,
    version: z.int().meta({ description: 'Version of the workflow that was validated.' }),
    verdicts: z.array(VerdictAnswer).meta({ description: `Always ${VALIDATOR_NAMES.join(', ')}.` }),
  })
  .meta({
    id: 'WorkflowValidation',
    example: {
      valid: false,
      checkedAt: '2026-01-01T12:00:00.000Z',
      durationMs: 84,
      version: 3,
      verdicts: [
        passed('schema', 1, '2 nodes, 1 edge'),
        passed('reachability', 4, 'Kubernetes v1.36.3'),
        {
          validator: 'rights',
          verdict: 'warning',
          durationMs: 41,
          summary: '16 rights on 4 kinds in namespace default',
          problems: [
            {
              severity: 'warning',
              nodeId: 'settings',
              path: null,
              message: 'not allowed to delete configmaps in namespace default: archiving cannot delete them',
              hint: 'kubectl -n default create role crowsnest-configmaps --verb=delete --resource=configmaps && …',
            },
          ],
        },
        passed('namespaces', 6, 'namespace default'),
        passed('ownership', 12, '2 objects'),
        {
          validator: 'dry-run',
          verdict: 'failed',
          durationMs: 37,
          summary: '2 of 2 manifests tried',
          problems: [
            {
              severity: 'error',
              nodeId: 'web',
              path: 'spec.template.spec.containers[0].image',
              message: 'Deployment default/shop-web: Required value',
              hint: null,
            },
          ],
        },
      ],
    },
  });
