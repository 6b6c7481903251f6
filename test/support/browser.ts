import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { type Browser, launch } from 'puppeteer-core';

const START_TIMEOUT_MS = 30_000;
/** Names below `test` lead to this machine, for pages that are to see the service under a name. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP *.test 127.0.0.1',
];

/**
 * A `describe` with a headless Chromium of its own: `CHROMIUM_BIN`, or `chromium` on the PATH. Skipped where there is none.
 * @throws in CI when there is none: there, skipped browser tests are a failure.
 */
export function describeBrowser(name: string, define: (browser: () => Browser) => void): void {
  const executable = findChromium();
  const suite = (): void => {
    let browser: Browser | undefined;
    let profile: string | undefined;
    beforeAll(async () => {
      profile = await mkdtemp(join(tmpdir(), 'crowsnest-browser-'));
      browser = await launch({ executablePath: executable ?? '', args: FLAGS, userDataDir: profile, pipe: true });
    }, START_TIMEOUT_MS);
    afterAll(async () => {
      await browser?.close();
      if (profile !== undefined) await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    });
    define(() => started(browser));
  };
  if (executable === undefined) tellMissing();
  (executable === undefined ? describe.skip : describe)(name, suite);
}

function tellMissing(): void {
  const message = 'browser tests cannot run: no chromium on the PATH and none named by CHROMIUM_BIN';
  if (process.env['CI'] === 'true') throw new Error(message);
  process.stderr.write(`${message}; they are skipped\n`);
}

function findChromium(): string | undefined {
  const named = process.env['CHROMIUM_BIN'];
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  const candidates = named === undefined ? folders.map((folder) => join(folder, 'chromium')) : [named];
  return candidates.find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the browser is there only inside tests and hooks');
  return value;
}
