import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { MAX_WAIT_MS } from './protocol.ts';
import { platformUrl } from './platform-client.ts';

export const USAGE = `npm run agent -- [options]
  --url <url>               of the platform (http://127.0.0.1:3000)
  --token <token>           bootstrap token, to register; or AGENT_TOKEN
  --credential-file <path>  keeps the credential: read if it is there, written after registering
  --name <name>             DNS label; the host's name if absent
  --labels <k=v,k=v>        what jobs may ask for with "requires"
  --capacity <n>            jobs at a time (1)
  --wait <ms>               how long a claim waits for jobs (20000)
`;

/** What was asked for cannot be done; nothing was sent to the platform. */
export class UsageError extends Error {}

export interface CliOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly credentialFile: string | undefined;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capacity: number;
  readonly waitMs: number;
  readonly help: boolean;
}

/** @throws UsageError that names the option. */
export function parseOptions(args: readonly string[]): CliOptions {
  const values = valuesOf(args);
  return {
    url: checked('url', () => platformUrl(values.url)),
    token: values.token,
    credentialFile: values['credential-file'],
    name: values.name,
    labels: labelsOf(values.labels),
    capacity: integerOf('capacity', values.capacity, Number.MAX_SAFE_INTEGER),
    waitMs: integerOf('wait', values.wait, MAX_WAIT_MS),
    help: values.help,
  };
}

function valuesOf(args: readonly string[]) {
  const options = {
    url: { type: 'string', default: 'http://127.0.0.1:3000' },
    token: { type: 'string' },
    'credential-file': { type: 'string' },
    name: { type: 'string', default: hostname().split('.')[0]?.toLowerCase() ?? 'agent' },
    labels: { type: 'string', default: '' },
    capacity: { type: 'string', default: '1' },
    wait: { type: 'string', default: '20000' },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function checked<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(`--${option}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function integerOf(option: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= max) return value;
  throw new UsageError(`--${option}: expected an integer from 1 to ${max}, got "${text}"`);
}

function labelsOf(text: string): Record<string, string> {
  const pairs = text.split(',').filter((part) => part !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', value, ...rest] = pair.split('=');
      if (key === '' || value === undefined || rest.length > 0) {
        throw new UsageError(`--labels: expected key=value, got "${pair}"`);
      }
      return [key, value];
    }),
  );
}
