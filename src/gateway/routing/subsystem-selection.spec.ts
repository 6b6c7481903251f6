import { describe, expect, it } from '@jest/globals';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { FakeSubsystemDirectory } from '../../../test/support/fake-subsystem-directory.js';
import { selectSubsystems } from './subsystem-selection.js';

function select(ids: readonly string[]): Record<string, readonly string[]> {
  const directory = new FakeSubsystemDirectory();
  for (const id of ['billing', 'orders', 'shipping']) directory.add({ id });
  directory.setState('orders', 'stale');
  const selected = selectSubsystems(directory.list(SYSTEM_SCOPE), ids);
  return Object.fromEntries(selected.map(({ subsystem, domainIds }) => [subsystem.id, domainIds]));
}

describe('the selection of subsystems', () => {
  it('is all of them, in whatever state, without a filter', () => {
    expect(select([])).toEqual({ billing: [], orders: [], shipping: [] });
  });

  it('is those that are registered under the ids, which are not passed on', () => {
    expect(select(['shipping', 'orders', 'shipping'])).toEqual({ orders: [], shipping: [] });
  });

  it('is all of them for a business domain, which is passed on', () => {
    expect(select(['retail', 'retail'])).toEqual({ billing: ['retail'], orders: ['retail'], shipping: ['retail'] });
  });

  it('is the union of both kinds', () => {
    expect(select(['billing', 'retail'])).toEqual({ billing: [], orders: ['retail'], shipping: ['retail'] });
  });
});
