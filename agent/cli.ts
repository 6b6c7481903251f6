// `npm run agent -- --url http://127.0.0.1:3000 --token <bootstrap token>`; see README.md.
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { Agent } from './agent.ts';
import { type CliOptions, USAGE, UsageError, parseOptions } from './cli-options.ts';
import { FUNCTIONS } from './job-functions.ts';
import { PlatformClient, PlatformError } from './platform-client.ts';

// sysexits(3).
const EX_USAGE = 64;
const EX_NOPERM = 77;

const log = (entry: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(entry)}\n`);

/** An empty file is one that was made for a registration that failed. */
async function stored(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`--credential-file: cannot be read: ${String(error)}`);
  }
}

async function writable(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w', 0o600);
  } catch (error) {
    throw new UsageError(`--credential-file: cannot be written, the token was not spent: ${String(error)}`);
  }
}

async function credentialFor(options: CliOptions, signal: AbortSignal): Promise<string> {
  const { url, name, labels, credentialFile } = options;
  const known = credentialFile === undefined ? undefined : await stored(credentialFile);
  if (known !== undefined) return known;
  const token = options.token ?? process.env['AGENT_TOKEN'];
  if (token === undefined) throw new UsageError(`there is neither a credential nor a bootstrap token\n${USAGE}`);
  // Before the token is spent: the credential is shown once.
  const file = credentialFile === undefined ? undefined : await writable(credentialFile);
  try {
    const registration = { token, name, labels, version: '1', requestId: randomUUID() };
    const { id, credential } = await new PlatformClient(url, { log }).register(registration, signal);
    await file?.writeFile(credential);
    await file?.sync();
    log({ message: 'registered', agent: id, name });
    return credential;
  } finally {
    await file?.close();
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EX_USAGE;
  return error instanceof PlatformError && error.status === 401 ? EX_NOPERM : 1;
}

async function main(): Promise<number> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    const { url, capacity, waitMs } = options;
    const credential = await credentialFor(options, stop.signal);
    const agent = new Agent({ url, credential, functions: FUNCTIONS, capacity, waitMs, log });
    log({ message: 'working', capacity, types: Object.keys(FUNCTIONS) });
    await agent.run(stop.signal);
    log({ message: 'drained' });
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 0;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodeOf(error);
  }
}

process.exitCode = await main();
