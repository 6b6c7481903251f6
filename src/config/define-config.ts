import type { SettingType } from './setting-types.js';

export interface Setting<T> {
  /** Name of the environment variable. */
  readonly variable: string;
  readonly type: SettingType<T>;
  /** As text, in the form the variable has; absent when unset is a legal state (`T` then includes undefined). */
  readonly default?: string;
  /** One line for `.env.example`: what it does. */
  readonly description: string;
  /** Shown in errors and, commented, in `.env.example` when there is no default. */
  readonly example?: string;
  /** Never repeated in an error, and readable from a file by `<variable>_FILE`. */
  readonly secret: boolean;
}

interface SettingOptions {
  readonly description: string;
  readonly example?: string;
  readonly secret?: boolean;
}

/** A variable with a default. */
export function setting<T>(
  variable: string,
  type: SettingType<T>,
  options: SettingOptions & { readonly default: string },
): Setting<T> {
  return { variable, type, secret: false, ...options };
}

/** A variable that may be absent. */
export function optionalSetting<T>(
  variable: string,
  type: SettingType<T>,
  options: SettingOptions,
): Setting<T | undefined> {
  return { variable, type, secret: false, ...options };
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The settings of one room: injected by `token`, each value parsed once at start. */
export interface ConfigSlice<S extends Settings = Settings> {
  readonly name: string;
  readonly token: symbol;
  readonly settings: S;
}

export type ConfigOf<C> =
  C extends ConfigSlice<infer S> ? { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never } : never;

export function defineConfig<S extends Settings>(name: string, settings: S): ConfigSlice<S> {
  return { name, token: Symbol(`${name} config`), settings };
}
