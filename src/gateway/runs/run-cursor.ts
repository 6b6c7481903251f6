import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Code, ConnectError } from '@connectrpc/connect';
import { z } from 'zod';
import { invalidArgument } from '../input/invalid-argument.js';
import type { RunKey } from './undecoded-run.js';

/** How far the list has come: the last run of all so far by the order, and the subsystem it came from. */
export interface ListedUpTo extends RunKey {
  readonly subsystemId: string;
}

/** How far the runs of one subsystem were listed. */
export interface SubsystemPlace {
  /** Its own cursor of the page begun; empty for its first. */
  readonly cursor: string;
  /** Runs at the beginning of that page that are done with. */
  readonly taken: number;
  /** The last of them, or of the page before. */
  readonly last?: (RunKey & { readonly runId: string }) | undefined;
  /** Nothing of it was listed yet, but these are passed: runs before them are not. */
  readonly floor?: ListedUpTo | undefined;
  /** It does not give its runs in the order asked for. */
  readonly unordered?: boolean | undefined;
}

/** `finished`: all its runs were listed; how many they were, undefined if it did not say. */
export type CursorPlace = SubsystemPlace | { readonly finished: true; readonly total: number | undefined };

export interface RunCursor {
  readonly upTo: ListedUpTo | undefined;
  /** By subsystem id. One that is not here has registered since, and starts behind `upTo`. */
  readonly places: ReadonlyMap<string, CursorPlace>;
}

/** Of the cursor as the client sees it. */
export const MAX_CURSOR_LENGTH = 65_536;
const MAX_INFLATED = 1 << 20;
const COMPRESS_FROM = 512;
const VERSION = '1';

const key = z.tuple([z.union([z.number(), z.string(), z.null()]), z.number()]);
const floor = z.tuple([z.union([z.number(), z.string(), z.null()]), z.number(), z.string()]);
const place = z.union([
  z.strictObject({ i: z.string(), f: z.number().int().min(0).nullable() }),
  z.strictObject({
    i: z.string(),
    c: z.string().optional(),
    n: z.number().int().min(0).max(100_000).optional(),
    r: z.string().optional(),
    k: key.optional(),
    b: z.union([floor, z.literal(1)]).optional(),
    u: z.literal(1).optional(),
  }),
]);
/** Short names, since a cursor travels with every page. `q`: digest of the question that it continues; `b: 1`: as `g`. */
const wire = z.strictObject({ q: z.string(), g: floor.optional(), p: z.array(place) });

type WirePlace = z.infer<typeof place>;
type WireKey = z.infer<typeof key>;

/**
 * The cursor as a text of URL-safe characters: version, `j` or `z` (compressed), base64url of JSON.
 *
 * @param question Digest of what is listed: the cursor continues nothing else.
 * @throws ConnectError `resource_exhausted` if it is longer than 64 KiB.
 */
export function encodeRunCursor({ upTo, places }: RunCursor, question: string): string {
  const json = JSON.stringify({
    q: question,
    g: upTo && floorToWire(upTo),
    p: [...places].map(([id, each]) => placeToWire(id, each, upTo)),
  } satisfies z.input<typeof wire>);
  const compress = json.length >= COMPRESS_FROM;
  const bytes = compress ? deflateRawSync(json) : Buffer.from(json);
  const text = `${VERSION}${compress ? 'z' : 'j'}${bytes.toString('base64url')}`;
  if (text.length <= MAX_CURSOR_LENGTH) return text;
  throw new ConnectError(
    `the runs of ${places.size} subsystems are too many to be continued: ask for fewer with filter.subsystem_ids`,
    Code.ResourceExhausted,
  );
}

/** @throws ConnectError `invalid_argument` if it is no cursor of ours, or one of another question. */
export function decodeRunCursor(text: string, question: string): RunCursor {
  const { q, g, p } = parse(text);
  if (q !== question) throw refused('continues a list with another filter or order');
  const upTo = g && floorFromWire(g);
  return { upTo, places: new Map(p.map((each) => [each.i, placeFromWire(each, upTo)])) };
}

function parse(text: string): z.infer<typeof wire> {
  if (text.length > MAX_CURSOR_LENGTH || !/^[0-9]+[jz][A-Za-z0-9_-]*$/.test(text)) throw refused('is none of ours');
  if (!text.startsWith(VERSION) || !/[jz]/.test(text.charAt(1))) throw refused('is of another version: list anew');
  const bytes = Buffer.from(text.slice(2), 'base64url');
  try {
    const json = text.charAt(1) === 'z' ? inflateRawSync(bytes, { maxOutputLength: MAX_INFLATED }) : bytes;
    return wire.parse(JSON.parse(json.toString()));
  } catch {
    // Whatever zlib, JSON or the schema say of it is of no use to who sent it.
    throw refused('is none of ours');
  }
}

function refused(problem: string): ConnectError {
  return invalidArgument({ field: 'pagination.cursor', description: problem });
}

function placeToWire(id: string, each: CursorPlace, upTo: ListedUpTo | undefined): WirePlace {
  if ('finished' in each) return { i: id, f: each.total ?? null };
  const { cursor, taken, last, floor: passed, unordered } = each;
  return {
    i: id,
    ...(cursor !== '' && { c: cursor }),
    ...(taken > 0 && { n: taken }),
    ...(last && { r: last.runId, k: keyToWire(last) }),
    ...(passed && { b: passed === upTo ? 1 : floorToWire(passed) }),
    ...(unordered && { u: 1 as const }),
  };
}

function placeFromWire(each: WirePlace, upTo: ListedUpTo | undefined): CursorPlace {
  if ('f' in each) return { finished: true, total: each.f ?? undefined };
  return {
    cursor: each.c ?? '',
    taken: each.n ?? 0,
    last: each.r !== undefined && each.k ? { runId: each.r, ...keyFromWire(each.k) } : undefined,
    floor: each.b === 1 ? upTo : each.b && floorFromWire(each.b),
    unordered: each.u === 1,
  };
}

/** JSON has no infinity, which stands for a time that is not there. */
const keyToWire = ({ major, minor }: RunKey): WireKey => [major === -Infinity ? null : major, minor];
const keyFromWire = ([major, minor]: WireKey): RunKey => ({ major: major ?? -Infinity, minor });
const floorToWire = (upTo: ListedUpTo): z.infer<typeof floor> => [...keyToWire(upTo), upTo.subsystemId];
const floorFromWire = ([major, minor, subsystemId]: z.infer<typeof floor>): ListedUpTo => ({
  ...keyFromWire([major, minor]),
  subsystemId,
});
