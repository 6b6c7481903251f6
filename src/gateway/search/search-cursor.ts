import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Code, ConnectError } from '@connectrpc/connect';
import { toBinary } from '@bufbuild/protobuf';
import { z } from 'zod';
import { type SearchRequest, SearchRequestSchema } from '../gen/flowwatch/v1/search_service_pb.js';
import { invalidArgument } from '../input/invalid-argument.js';

/** How far the results of one subsystem were shown. */
export interface SearchPlace {
  /** Its own cursor of the page begun; empty for its first. */
  readonly cursor: string;
  /** Of how many results the page is. */
  readonly size: number;
  /** Results at its beginning that were shown, and the id of the last of them. */
  readonly taken: number;
  readonly last: string;
  /** The score of its first result of all: what its scores are measured by. */
  readonly best: number;
}

/** By subsystem id. One that is not here begins at its first result. */
export type SearchPlaces = ReadonlyMap<string, SearchPlace>;

const VERSION = '1';
const MAX_CURSOR_LENGTH = 65_536;
const MAX_INFLATED = 1 << 20;
const place = z.tuple([
  z.string(),
  z.string(),
  z.number().int().min(1).max(500),
  z.number().int().min(0).max(100_000),
  z.string(),
  z.number(),
]);
const wire = z.tuple([z.string(), z.array(place)]);

/**
 * A text of URL-safe characters: version, then base64url of deflated JSON.
 *
 * @throws ConnectError `resource_exhausted` if it is longer than 64 KiB.
 */
export function encodeSearchCursor(request: SearchRequest, places: SearchPlaces): string {
  const wirePlaces = [...places].map(([id, { cursor, size, taken, last, best }]): z.infer<typeof place> => [
    id,
    cursor,
    size,
    taken,
    last,
    best,
  ]);
  const json = JSON.stringify([digest(request), wirePlaces] satisfies z.infer<typeof wire>);
  const text = VERSION + deflateRawSync(json).toString('base64url');
  if (text.length <= MAX_CURSOR_LENGTH) return text;
  throw new ConnectError(
    `the results of ${places.size} subsystems are too many to be continued: search for less`,
    Code.ResourceExhausted,
  );
}

/** @throws ConnectError `invalid_argument` if it is no cursor of ours, or one of another search. */
export function decodeSearchCursor(request: SearchRequest, text: string): SearchPlaces {
  const [question, places] = parse(text);
  if (question !== digest(request)) throw refused('continues another search');
  return new Map(places.map(([id, cursor, size, taken, last, best]) => [id, { cursor, size, taken, last, best }]));
}

function parse(text: string): z.infer<typeof wire> {
  if (text.length > MAX_CURSOR_LENGTH || !/^1[A-Za-z0-9_-]+$/.test(text)) throw refused('is none of ours');
  try {
    const bytes = Buffer.from(text.slice(VERSION.length), 'base64url');
    return wire.parse(JSON.parse(inflateRawSync(bytes, { maxOutputLength: MAX_INFLATED }).toString()));
  } catch {
    // Whatever zlib, JSON or the schema say of it is of no use to who sent it.
    throw refused('is none of ours');
  }
}

/** Of what is searched for, whatever the page. */
function digest({ query, scope, timeRange, $typeName }: SearchRequest): string {
  const question = toBinary(SearchRequestSchema, { $typeName, query, scope, ...(timeRange && { timeRange }) });
  return createHash('sha256').update(question).digest('base64url').slice(0, 16);
}

function refused(description: string): ConnectError {
  return invalidArgument({ field: 'pagination.cursor', description });
}
