// `npm run agent -- --url http://127.0.0.1:3000 --token <bootstrap token>`; see README.md.
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { Agent } from './agent.ts';
import { FUNCTIONS } from './job-functions.ts';
import { PlatformClient, PlatformError } from './platform-client.ts';

const USAGE = `npm run agent -- [options]
  --url <url>               of the platform (http://127.0.0.1:3000)
  --token <token>           bootstrap token, to register; or AGENT_TOKEN
  --credential-file <path>  keeps the credential: read if it is there, written after registering
  --name <name>             DNS label; the host's name if absent
  --labels <k=v,k=v>        what jobs may ask for with "requires"
  --capacity <n>            jobs at a time (1)
  --wait <ms>               how long a claim waits for jobs (20000)
`;

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:3000' },
    token: { type: 'string' },
    'credential-file': { type: 'string' },
    name: { type: 'string', default: hostname().split('.')[0]?.toLowerCase() ?? 'agent' },
    labels: { type: 'string', default: '' },
    capacity: { type: 'string', default: '1' },
    wait: { type: 'string', default: '20000' },
    help: { type: 'boolean', default: false },
  },
});

const log = (entry: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(entry)}\n`);

function labelsOf(text: string): Record<string, string> {
  const pairs = text.split(',').filter((part) => part !== '');
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']));
}

async function stored(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function credentialFor(signal: AbortSignal): Promise<string> {
  const path = values['credential-file'];
  const known = await stored(path);
  if (known !== undefined) return known;
  const token = values.token ?? process.env['AGENT_TOKEN'];
  if (token === undefined) throw new Error(`there is neither a credential nor a bootstrap token\n${USAGE}`);
  const labels = labelsOf(values.labels);
  const registration = { token, name: values.name, labels, version: '1', requestId: randomUUID() };
  const { id, credential } = await new PlatformClient(values.url).register(registration, signal);
  if (path !== undefined) await writeFile(path, credential, { mode: 0o600 });
  log({ message: 'registered', agent: id, name: values.name });
  return credential;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  try {
    const credential = await credentialFor(stop.signal);
    const capacity = Number(values.capacity);
    const agent = new Agent({
      url: values.url,
      credential,
      functions: FUNCTIONS,
      capacity,
      waitMs: Number(values.wait),
      log,
    });
    log({ message: 'working', capacity, types: Object.keys(FUNCTIONS) });
    await agent.run(stop.signal);
    log({ message: 'drained' });
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 0;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof PlatformError && error.status === 401 ? 77 : 1;
  }
}

process.exitCode = await main();
