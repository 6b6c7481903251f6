import { Inject, Injectable } from '@nestjs/common';
import type { Plan } from './plan.js';
import { type TenantsConfig, tenantsConfig } from './tenants.config.js';

/** The configured plans. */
@Injectable()
export class Plans {
  constructor(@Inject(tenantsConfig.token) private readonly config: TenantsConfig) {}

  get names(): readonly string[] {
    return this.config.plans.map(({ name }) => name);
  }

  /** The default one for null, and for a plan that is no longer configured. */
  byName(name: string | null): Plan {
    const { plans, defaultPlan } = this.config;
    const found = plans.find((each) => each.name === name) ?? plans.find((each) => each.name === defaultPlan);
    if (!found) throw new Error(`there is no plan ${defaultPlan}`);
    return found;
  }
}
