import type { Subsystem } from '../registry/subsystem-directory.js';

export interface SelectedSubsystem {
  readonly subsystem: Subsystem;
  /** Business domains (`Run.subsystem_id`) to pass on as its `subsystem_ids` filter; empty: no such filter. */
  readonly domainIds: readonly string[];
}

/**
 * Who is asked when a filter holds `subsystem_ids`: an id that is registered selects that subsystem and is not passed
 * on; any other is a business domain, which every subsystem may have and is passed on to all. With both kinds the answer
 * is the union: the selected ones are asked without that filter, the others with the domains. No ids: all, unfiltered.
 *
 * @param subsystems All that the caller may see (`directory.list(scope)`), in whatever state; their order is kept.
 */
export function selectSubsystems(
  subsystems: readonly Subsystem[],
  ids: readonly string[],
): readonly SelectedSubsystem[] {
  if (ids.length === 0) return subsystems.map((subsystem) => ({ subsystem, domainIds: [] }));
  const asked = new Set(ids);
  const registered = new Set(subsystems.map(({ id }) => id).filter((id) => asked.has(id)));
  const domainIds = [...asked].filter((id) => !registered.has(id));
  return subsystems.flatMap((subsystem) => {
    if (registered.has(subsystem.id)) return [{ subsystem, domainIds: [] }];
    return domainIds.length > 0 ? [{ subsystem, domainIds }] : [];
  });
}
