import type { SettingType } from '../config/setting-types.js';

/** What a tenant's jobs are worth. */
export interface Plan {
  readonly name: string;
  /** Points that every job of the tenant starts with. */
  readonly base: number;
  /** Share of the agents among tenants whose jobs have equal points. */
  readonly weight: number;
}

const SHAPE = /^([a-z][a-z0-9-]{0,62}):(\d{1,6}):(\d{1,2})$/;

/** `name:base:weight`, such as `team:500:2`. */
export function plan(): SettingType<Plan> {
  return {
    expected: 'name:base:weight, with a base of 0 to 999999 points and a weight of 1 to 99',
    parse(text) {
      const [, name, base, weight] = SHAPE.exec(text) ?? [];
      if (name === undefined || Number(weight) < 1) throw new Error('not a plan');
      return { name, base: Number(base), weight: Number(weight) };
    },
  };
}
