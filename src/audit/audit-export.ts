import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditSegment } from './audit-chain.js';
import type { AuditRow } from './audit-row.js';

const CHUNK_CHARS = 65_536;

/** Somebody has removed or added rows, or another process removes these already. */
export class ExportIncomplete extends Error {
  constructor(path: string, missing: number) {
    super(`${path}: ${missing} rows of the sealed ones are not there: see GET /api/v1/audit-logs/verify`);
    this.name = 'ExportIncomplete';
  }
}

/**
 * Writes segments and their rows as JSON Lines, one file: a line `{"segment": …}` for each segment, then a line
 * `{"row": …}` for each row. The file has its name only when all of it is on the disk; the same segments once more
 * replace it.
 *
 * @returns the path of the file
 * @throws ExportIncomplete when there are not as many rows as were sealed; an earlier file stays as it is
 */
export async function exportAuditRows(
  directory: string,
  segments: readonly AuditSegment[],
  rows: AsyncIterable<AuditRow>,
  signal: AbortSignal,
): Promise<string> {
  const [first, last] = [segments.at(0), segments.at(-1)];
  if (!first || !last) throw new RangeError('an export needs a segment');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `audit-${numbered(first)}-${numbered(last)}.jsonl`);
  const draft = `${path}.partial`;
  try {
    await writeDraft(draft, segments, rows, signal);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncDirectory(directory);
  return path;
}

async function writeDraft(
  path: string,
  segments: readonly AuditSegment[],
  rows: AsyncIterable<AuditRow>,
  signal: AbortSignal,
): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    const lines = new LineWriter(file);
    for (const { pending: _pending, ...segment } of segments) await lines.write({ segment });
    let missing = segments.reduce((sum, { count }) => sum + count, 0);
    for await (const row of rows) {
      signal.throwIfAborted();
      missing -= 1;
      await lines.write({ row });
    }
    if (missing !== 0) throw new ExportIncomplete(path, missing);
    await lines.flush();
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gathers lines, so that not each is a call of its own. */
class LineWriter {
  private text = '';

  constructor(private readonly file: FileHandle) {}

  /** Dates and ids become text. */
  async write(line: object): Promise<void> {
    this.text += `${JSON.stringify(line)}\n`;
    if (this.text.length >= CHUNK_CHARS) await this.flush();
  }

  async flush(): Promise<void> {
    const { text } = this;
    this.text = '';
    await this.file.writeFile(text);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Names sort as numbers do. */
function numbered({ _id }: AuditSegment): string {
  return String(_id).padStart(10, '0');
}
