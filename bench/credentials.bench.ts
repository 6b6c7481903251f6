// Whether the time of an answer tells of which credentials there are: an id that nobody has, beside a secret that is wrong.
import { pathToFileURL } from 'node:url';
import type { CredentialAuthority } from '../src/auth/credential-authority.ts';
import { type Figure, median } from './figure.ts';
import { type InProcessService, openService, room } from './support/in-process-service.ts';

const ATTEMPTS = 10_000;
const WARM_UP = 500;
const ADMIN = { kind: 'user', id: 'bench', role: 'admin', tenantId: '*' } as const;

interface Kind {
  readonly name: string;
  readonly authority: CredentialAuthority;
  /** With a secret of its own that is not the right one. */
  readonly wrong: string;
  readonly unknown: string;
}

const micros = (ms: number): string => `${(ms * 1_000).toFixed(0)} µs`;
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

async function apiKeys({ of }: InProcessService): Promise<Kind> {
  const { ApiKeyAuthority } =
    await room<typeof import('../src/api-keys/api-key-authority.ts')>('api-keys/api-key-authority');
  const { ApiKeysService } =
    await room<typeof import('../src/api-keys/api-keys.service.ts')>('api-keys/api-keys.service');
  const asked = { name: 'bench', role: 'viewer' as const, expiresInMs: null };
  const { key } = await of(ApiKeysService).create(ADMIN, asked as never);
  return { name: 'API keys', authority: of(ApiKeyAuthority), ...others(key) };
}

async function agents({ of }: InProcessService): Promise<Kind> {
  const { AgentAuthority } = await room<typeof import('../src/agents/agent-authority.ts')>('agents/agent-authority');
  const { AgentRegistration } =
    await room<typeof import('../src/agents/agent-registration.ts')>('agents/agent-registration');
  const { BootstrapTokensService } = await room<typeof import('../src/agents/bootstrap/bootstrap-tokens.service.ts')>(
    'agents/bootstrap/bootstrap-tokens.service',
  );
  const asked = { pool: 'platform' as const, labels: {}, expiresInMs: 3_600_000, maxUses: 1 };
  const { token } = await of(BootstrapTokensService).issue(ADMIN, asked as never);
  const registration = { token, name: 'bench', labels: {}, version: '1' };
  const { credential } = await of(AgentRegistration).register(registration as never);
  return { name: 'agents', authority: of(AgentAuthority), ...others(credential) };
}

/** Made from a right one: of the same shape and length. */
function others(right: string): { wrong: string; unknown: string } {
  const [, prefix = '', id = '', rest = '', secret = ''] = /^(\w+?)_([0-9a-f]{24})(.*)\.(.*)$/.exec(right) ?? [];
  const turned = Array.from(secret).toReversed().join('');
  const noId = id.replaceAll(/[0-9a-f]/g, (digit) => (15 - Number.parseInt(digit, 16)).toString(16));
  return { wrong: `${prefix}_${id}${rest}.${turned}`, unknown: `${prefix}_${noId}${rest}.${turned}` };
}

async function timed({ authority }: Kind, credential: string): Promise<number> {
  const start = performance.now();
  const found = await authority.find(credential);
  if (found !== 'unknown') throw new Error('a wrong credential was taken');
  return performance.now() - start;
}

async function figureOf(kind: Kind): Promise<Figure> {
  const times: { wrong: number[]; unknown: number[] } = { wrong: [], unknown: [] };
  for (let attempt = -WARM_UP; attempt < ATTEMPTS; attempt += 1) {
    // In turn first and second, so that neither profits from what the other has warmed.
    const order = attempt % 2 === 0 ? (['wrong', 'unknown'] as const) : (['unknown', 'wrong'] as const);
    for (const which of order) {
      const time = await timed(kind, kind[which]);
      if (attempt >= 0) times[which].push(time);
    }
  }
  // One pause of the machine in a thousand attempts is more in the mean than what is looked for.
  const [wrong, unknown] = [median(times.wrong), median(times.unknown)];
  const apart = Math.abs(wrong - unknown) / Math.min(wrong, unknown);
  return {
    figure: `credentials of ${kind.name}: a wrong secret, median of ${ATTEMPTS.toLocaleString('en')} interleaved attempts`,
    ours: `${micros(wrong)} (mean ${micros(mean(times.wrong))}), ${(apart * 100).toFixed(1)} % apart`,
    peer: `an unknown id ${micros(unknown)} (mean ${micros(mean(times.unknown))})`,
    goal: 'within 5 %',
    met: apart <= 0.05,
  };
}

export async function run(): Promise<Figure[]> {
  const service = await openService(undefined, 'credentials');
  try {
    return [await figureOf(await apiKeys(service)), await figureOf(await agents(service))];
  } finally {
    await service.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const figure of await run()) process.stdout.write(`${JSON.stringify(figure)}\n`);
}
