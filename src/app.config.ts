import { readFileSync } from 'node:fs';
import { type AgentsConfig, agentsConfig, agentsProblems } from './agents/index.js';
import { auditConfig } from './audit/index.js';
import { type AuthConfig, authConfig, isLoopbackHost } from './auth/index.js';
import { clusterHealthConfig } from './cluster-health/index.js';
import { ConfigError, type ConfigSlice, type Environment, type LoadedConfig, loadConfig } from './config/index.js';
import { controllersConfig } from './controllers/index.js';
import { databaseConfig } from './database/index.js';
import { egressConfig } from './egress/index.js';
import { gatewayConfig } from './gateway/index.js';
import { type HttpConfig, httpConfig, tlsProblems } from './http/index.js';
import { type JobsConfig, jobsConfig, jobsProblems } from './jobs/index.js';
import { type LeaderElectionConfig, leaderElectionConfig, leaderElectionProblems } from './leader-election/index.js';
import { lifecycleConfig } from './lifecycle/index.js';
import { loggingConfig } from './logging/index.js';
import { realtimeConfig } from './realtime/index.js';
import type { Random } from './runtime/random.js';
import { sealingConfig } from './sealing/index.js';
import { type TenantsConfig, tenantsConfig, tenantsProblems } from './tenants/index.js';
import { watchersConfig } from './watchers/index.js';

/** Every slice, in the order of `.env.example`. */
export const CONFIG_SLICES: readonly ConfigSlice[] = [
  httpConfig,
  authConfig,
  databaseConfig,
  sealingConfig,
  loggingConfig,
  lifecycleConfig,
  egressConfig,
  leaderElectionConfig,
  realtimeConfig,
  clusterHealthConfig,
  watchersConfig,
  auditConfig,
  tenantsConfig,
  agentsConfig,
  jobsConfig,
  controllersConfig,
  gatewayConfig,
];

/** Parses the environment and checks what only several settings together tell. Throws ConfigError with every mistake. */
export function loadAppConfig(environment: Environment, random: Random): LoadedConfig {
  const loaded = loadConfig(CONFIG_SLICES, environment, (path) => readFileSync(path, 'utf8'));
  const problems = crossProblems(loaded, random);
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}

/** Whether the service serves this machine only: then it needs no keys, and may itself connect to loopback. */
export function servesLoopbackOnly(loaded: LoadedConfig): boolean {
  return isLoopbackHost(slice<HttpConfig>(loaded, httpConfig).host);
}

export function slice<T>(loaded: LoadedConfig, of: ConfigSlice): T {
  return loaded.get(of.token) as T;
}

function crossProblems(loaded: LoadedConfig, random: Random): string[] {
  const problems: string[] = [];
  const { apiKeys } = slice<AuthConfig>(loaded, authConfig);
  if (!servesLoopbackOnly(loaded) && !apiKeys?.length) {
    const ready = `admin:admin:${random.bytes(24).toString('base64url')}`;
    problems.push(`HOST is not loopback, so keys are needed; a ready-made one: CROWSNEST_API_KEYS=${ready}`);
  }
  const names = (apiKeys ?? []).map((key) => key.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) problems.push(`CROWSNEST_API_KEYS: the name ${twice} stands twice`);
  problems.push(...tlsProblems(slice<HttpConfig>(loaded, httpConfig)));
  problems.push(...leaderElectionProblems(slice<LeaderElectionConfig>(loaded, leaderElectionConfig)));
  problems.push(...agentsProblems(slice<AgentsConfig>(loaded, agentsConfig)));
  const tenants = slice<TenantsConfig>(loaded, tenantsConfig);
  problems.push(...tenantsProblems(tenants), ...jobsProblems(slice<JobsConfig>(loaded, jobsConfig), tenants));
  return problems;
}
