import { describe, expect, it } from '@jest/globals';
import { defineConfig, optionalSetting, setting } from './define-config.js';
import { ConfigError, loadConfig } from './load-config.js';
import { boolean, duration, formatDuration, integer, list, oneOf, text } from './setting-types.js';

const slice = defineConfig('example', {
  periodMs: setting('CROWSNEST_PERIOD', duration({ minMs: 1_000 }), { default: '60s', description: 'how often' }),
  workers: setting('CROWSNEST_WORKERS', integer(1, 50), { default: '5', description: 'how many' }),
  isPublic: setting('CROWSNEST_PUBLIC', boolean(), { default: 'false', description: 'who sees it' }),
  level: setting('LOG_LEVEL', oneOf('info', 'debug'), { default: 'info', description: 'what is told' }),
  keys: optionalSetting('CROWSNEST_KEYS', list(text('a key', /^k-/)), {
    description: 'who may come',
    secret: true,
    example: 'k-1',
  }),
});

function load(environment: Record<string, string>, files: Record<string, string> = {}) {
  const readFile = (path: string): string => {
    const content = files[path];
    if (content === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    return content;
  };
  return loadConfig([slice], environment, readFile).get(slice.token);
}

function problemsOf(environment: Record<string, string>, files?: Record<string, string>): readonly string[] {
  try {
    load(environment, files);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('takes defaults, and treats an empty variable as unset', () => {
    expect(load({ CROWSNEST_WORKERS: '' })).toEqual({
      periodMs: 60_000,
      workers: 5,
      isPublic: false,
      level: 'info',
      keys: undefined,
    });
  });

  it('reads values, lists over several lines and secrets from files', () => {
    const environment = { CROWSNEST_PERIOD: '10m', CROWSNEST_PUBLIC: 'true', CROWSNEST_KEYS_FILE: '/run/keys' };
    expect(load(environment, { '/run/keys': 'k-a\n k-b ,k-c\n' })).toMatchObject({
      periodMs: 600_000,
      isPublic: true,
      keys: ['k-a', 'k-b', 'k-c'],
    });
  });

  it('reports every mistake at once with name, expected shape and example', () => {
    const problems = problemsOf({ CROWSNEST_PERIOD: '10', CROWSNEST_WORKERS: '51', LOG_LEVEL: 'loud' });
    expect(problems).toEqual([
      'CROWSNEST_PERIOD: "10" is not a duration like 250ms, 30s, 10m, 24h or 7d, at least 1s; example: 60s',
      'CROWSNEST_WORKERS: "51" is not a whole number from 1 to 50; example: 5',
      'LOG_LEVEL: "loud" is not one of info, debug; example: info',
    ]);
  });

  it('never repeats a secret', () => {
    expect(problemsOf({ CROWSNEST_KEYS: 'hunter2' }).join()).not.toContain('hunter2');
    expect(problemsOf({ CROWSNEST_KEYS: 'hunter2' })).toHaveLength(1);
  });

  it('refuses a secret given twice, and a file that cannot be read', () => {
    expect(problemsOf({ CROWSNEST_KEYS: 'k-1', CROWSNEST_KEYS_FILE: '/x' })[0]).toContain('both set');
    expect(problemsOf({ CROWSNEST_KEYS_FILE: '/x' })).toEqual(['CROWSNEST_KEYS_FILE: /x cannot be read (ENOENT)']);
  });

  it('refuses an unknown name with the nearest known one, and a _FILE of what is no secret', () => {
    expect(problemsOf({ CROWSNEST_PERIODS: '1s' })).toEqual([
      'CROWSNEST_PERIODS is not a setting; did you mean CROWSNEST_PERIOD?',
    ]);
    expect(problemsOf({ CROWSNEST_WORKERS_FILE: '/x' })).toHaveLength(1);
  });

  it.each(['CROWSNEST', 'CROWSNEST_GATEWAY'])('ignores what Kubernetes injects for the Service %s', (prefix) => {
    const injected = {
      [`${prefix}_SERVICE_HOST`]: '10.0.0.11',
      [`${prefix}_SERVICE_PORT`]: '3000',
      [`${prefix}_SERVICE_PORT_HTTP`]: '3000',
      [`${prefix}_PORT`]: 'tcp://10.0.0.11:3000',
      [`${prefix}_PORT_3000_TCP`]: 'tcp://10.0.0.11:3000',
      [`${prefix}_PORT_3000_TCP_PROTO`]: 'tcp',
      [`${prefix}_PORT_3000_TCP_PORT`]: '3000',
      [`${prefix}_PORT_3000_TCP_ADDR`]: '10.0.0.11',
    };
    expect(load(injected)).toMatchObject({ workers: 5 });
  });
});

describe('formatDuration', () => {
  it.each([0, 1, 250, 1_000, 90_000, 600_000, 86_400_000, 3_600_000 * 36])('is read back as %d', (ms) => {
    expect(duration().parse(formatDuration(ms))).toBe(ms);
  });
});
