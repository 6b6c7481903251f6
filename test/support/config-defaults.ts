import type { ConfigOf, ConfigSlice } from '../../src/config/define-config.js';

/** The slice as it is when no variable is set, with the values given. */
export function configDefaults<C extends ConfigSlice>(slice: C, values: Partial<ConfigOf<C>> = {}): ConfigOf<C> {
  const defaults = Object.entries(slice.settings).map(
    ([name, { type, default: text }]) => [name, text === undefined ? undefined : type.parse(text)] as const,
  );
  return { ...(Object.fromEntries(defaults) as ConfigOf<C>), ...values };
}
