import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../test/support/config-defaults.js';
import { tenantsConfig, tenantsProblems } from '../tenants/index.js';
import { jobsConfig, jobsProblems } from './jobs.config.js';

const jobs = configDefaults(jobsConfig);
const tenants = configDefaults(tenantsConfig);

describe('the settings of jobs and tenants', () => {
  it('fit as they are by default', () => {
    expect([...tenantsProblems(tenants), ...jobsProblems(jobs, tenants)]).toEqual([]);
    expect(tenants.plans).toEqual([
      { name: 'free', base: 250, weight: 1 },
      { name: 'team', base: 500, weight: 2 },
      { name: 'pro', base: 750, weight: 3 },
      { name: 'enterprise', base: 1_000, weight: 4 },
    ]);
  });

  it('are refused with a bonus by which the least plan would expire before it is served', () => {
    const [problem] = jobsProblems(jobs, { ...tenants, priorityBonus: 14 });
    expect(problem).toMatch(/^CROWSNEST_PRIORITY_BONUS: with less than 15 points a minute/);
    expect(jobsProblems({ ...jobs, queueLimitMs: 30 * 60_000 }, tenants)[0]).toMatch(/less than 29 points/);
  });

  it('are refused with a plan twice, and without the default one', () => {
    const [free] = tenants.plans;
    if (!free) throw new Error('there is no plan');
    expect(tenantsProblems({ ...tenants, plans: [free, free] })).toEqual([
      'CROWSNEST_PLANS: the plan free stands twice',
    ]);
    expect(tenantsProblems({ ...tenants, defaultPlan: 'gold' })).toEqual([
      'CROWSNEST_DEFAULT_PLAN: there is no plan gold in CROWSNEST_PLANS',
    ]);
  });
});
