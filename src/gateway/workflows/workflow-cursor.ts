import { z } from 'zod';
import { invalidArgument } from '../input/invalid-argument.js';
import type { WorkflowKey } from './merge-workflows.js';

const VERSION = '1';
const MAX_CURSOR_LENGTH = 65_536;
const wire = z.tuple([z.string(), z.string(), z.string()]);

/** The last workflow listed, as a text of URL-safe characters: version, then base64url of JSON. */
export function encodeWorkflowCursor({ name, subsystemId, id }: WorkflowKey): string {
  return VERSION + Buffer.from(JSON.stringify([name, subsystemId, id])).toString('base64url');
}

/** @throws ConnectError `invalid_argument` if it is no cursor of ours. */
export function decodeWorkflowCursor(text: string): WorkflowKey {
  if (text.length <= MAX_CURSOR_LENGTH && /^1[A-Za-z0-9_-]+$/.test(text)) {
    const parsed = wire.safeParse(parseJson(Buffer.from(text.slice(VERSION.length), 'base64url').toString()));
    if (parsed.success) {
      const [name, subsystemId, id] = parsed.data;
      return { name, subsystemId, id };
    }
  }
  throw invalidArgument({ field: 'pagination.cursor', description: 'is none of ours' });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
