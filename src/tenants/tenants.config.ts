import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration, integer, list, text } from '../config/setting-types.js';
import { plan } from './plan.js';

export const tenantsConfig = defineConfig('tenants', {
  plans: setting('CROWSNEST_PLANS', list(plan()), {
    default: 'free:250:1,team:500:2,pro:750:3,enterprise:1000:4',
    description: 'Plans of tenants: points that their jobs start with, and their share among equals.',
  }),
  defaultPlan: setting('CROWSNEST_DEFAULT_PLAN', text('the name of a plan', /^[a-z][a-z0-9-]*$/), {
    default: 'free',
    description: 'Plan of a tenant that names none, and of one whose plan is no longer listed.',
  }),
  priorityBonus: setting('CROWSNEST_PRIORITY_BONUS', integer(1, 1_000_000), {
    default: '15',
    description: 'Points that a job gains with each minute that it waits.',
  }),
  jobCostMs: setting('CROWSNEST_JOB_COST', duration({ minMs: 1 }), {
    default: '1s',
    description: "How far a job moves its tenant's next one back, divided by the plan's weight.",
  }),
  maxLeadMs: setting('CROWSNEST_TENANT_LEAD', duration(), {
    default: '10m',
    description: "How far a tenant's own jobs can move its next one back at most.",
  }),
});

export type TenantsConfig = ConfigOf<typeof tenantsConfig>;

/** What only the settings together tell, one line each; empty if they fit. */
export function tenantsProblems({ plans, defaultPlan }: TenantsConfig): string[] {
  const names = plans.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return [
    ...(twice === undefined ? [] : [`CROWSNEST_PLANS: the plan ${twice} stands twice`]),
    ...(names.includes(defaultPlan)
      ? []
      : [`CROWSNEST_DEFAULT_PLAN: there is no plan ${defaultPlan} in CROWSNEST_PLANS`]),
  ];
}
