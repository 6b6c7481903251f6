import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../test/support/config-defaults.js';
import { agentsConfig, agentsProblems } from './agents.config.js';

describe('agentsProblems', () => {
  it('has none with the defaults, and refuses verdicts by one late heartbeat', () => {
    const config = configDefaults(agentsConfig);
    expect(config).toMatchObject({ heartbeatMs: 20_000, staleMs: 90_000, healthPeriodMs: 30_000 });
    expect(agentsProblems(config)).toEqual([]);
    expect(agentsProblems({ ...config, staleMs: 40_000 })).toEqual([]);
    expect(agentsProblems({ ...config, staleMs: 39_999 })).toEqual([expect.stringMatching(/^CROWSNEST_AGENT_STALE: /)]);
  });
});
