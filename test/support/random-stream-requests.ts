import { type Agent, request } from 'node:http';
import fc from 'fast-check';

/** What is right in the service under test; random requests mix it with what is wrong. */
export interface KnownThings {
  readonly ids: readonly string[];
  readonly keys: readonly string[];
  readonly tickets: readonly string[];
  readonly ticketIds: readonly string[];
  readonly secrets: readonly string[];
}

export interface RandomRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Milliseconds until the client leaves; it leaves with the first bytes of a stream in any case. */
  readonly leavesAfterMs: number | undefined;
}

/** What a client that stayed was answered; `left` for one that did not, `cut` for a connection that the service ended. */
export type Outcome = number | 'left' | 'cut';

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const junk = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', '__proto__', '$ne', '../..', '%', '\0', '\r\nX: y', '[object Object]', 'a'.repeat(3_000)),
);
const encoded = junk.map((text) => encodeURIComponent(text.toWellFormed()));
/** Percent signs that encode nothing, or no UTF-8. */
const brokenEncoding = fc.constantFrom('%', '%zz', '%E0%A4%A', '%ff', '%00', '+', '&&', '=', ';', '[]', '[0]');

function keyArbitrary({ ids, keys }: KnownThings) {
  const id = fc.oneof(fc.constantFrom(...ids), hex(24));
  const prefix = fc.constantFrom('workflow', 'resource', 'run', 'cluster', 'clusters', 'job', 'tenant', 'Workflow', '');
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...keys) },
    { weight: 3, arbitrary: fc.tuple(prefix, id).map((parts) => parts.join(':')) },
    { weight: 1, arbitrary: junk },
  );
}

function pathArbitrary({ ids, ticketIds }: KnownThings) {
  const id = fc.oneof(fc.constantFrom(...ids), hex(24), encoded, brokenEncoding);
  return fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('', '', '/', '/stats', '/tickets', '/clusters') },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom('workflows', 'resources', 'clusters', 'runs', 'jobs'), id)
        .map(([of, one]) => `/${of}/${one}`),
    },
    { weight: 1, arbitrary: fc.oneof(fc.constantFrom(...ticketIds), id).map((one) => `/tickets/${one}`) },
    { weight: 1, arbitrary: encoded.map((text) => `/${text}`) },
  );
}

function queryArbitrary(known: KnownThings) {
  const forged = fc.base64String({ minLength: 44, maxLength: 44 }).map((text) => `cst_${text.slice(0, 43)}`);
  const ticket = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...known.tickets) }, forged, junk);
  const eventId = fc.oneof(
    fc.tuple(hex(12), fc.nat()).map((parts) => parts.join('.')),
    junk,
  );
  const duration = fc.oneof(fc.constantFrom('0ms', '1ms', '5ms', '20ms', '999999999h', '-1s', '1e3ms'), junk);
  const pair = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant('key'), keyArbitrary(known)) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('ticket'), ticket) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('lastEventId'), eventId) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('duration'), duration) },
    { weight: 1, arbitrary: fc.tuple(junk, junk) },
  );
  const written = pair.map((parts) => parts.map((part) => encodeURIComponent(part.toWellFormed())).join('='));
  return fc.oneof(
    { weight: 6, arbitrary: fc.array(written, { maxLength: 5 }).map((pairs) => pairs.join('&')) },
    {
      weight: 1,
      arbitrary: fc.array(written, { minLength: 60, maxLength: 80 }).map((pairs) => pairs.join('&').slice(0, 9_000)),
    },
    { weight: 1, arbitrary: brokenEncoding.map((text) => `key=${text}&ticket=${text}`) },
  );
}

/** Absent in the other cases. */
function sometimes<T>(arbitrary: fc.Arbitrary<T>, percent: number): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 100 - percent, arbitrary: fc.constant(undefined) }, { weight: percent, arbitrary });
}

function headersArbitrary({ secrets }: KnownThings) {
  const text = junk.map((value) => value.replaceAll(/[^\x20-\x7e]/g, ''));
  return fc
    .record({
      authorization: sometimes(
        fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...secrets).map((each) => `Bearer ${each}`) }, text),
        70,
      ),
      accept: sometimes(
        fc.oneof(fc.constantFrom('text/event-stream', '*/*', 'application/json', 'text/*;q=0'), text),
        40,
      ),
      'last-event-id': sometimes(
        fc.oneof(
          hex(12).map((epoch) => `${epoch}.1`),
          text,
        ),
        40,
      ),
      origin: sometimes(fc.oneof(fc.constantFrom('https://evil.example', 'http://localhost:5173', 'null'), text), 10),
      'sec-fetch-site': sometimes(fc.constantFrom('cross-site', 'same-origin', 'none'), 10),
      'content-type': sometimes(fc.oneof(fc.constantFrom('application/json', 'application/yaml'), text), 60),
      'accept-encoding': sometimes(fc.constantFrom('gzip', 'br, *;q=0'), 20),
      'x-request-id': sometimes(text, 10),
    })
    .map(
      (headers) =>
        Object.fromEntries(Object.entries(headers).filter((entry) => entry[1] !== undefined)) as Record<string, string>,
    );
}

function bodyArbitrary(known: KnownThings) {
  const keys = fc.array(fc.oneof(keyArbitrary(known), fc.integer(), fc.constant(null)), { maxLength: 70 });
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    fc.array(keyArbitrary(known), { maxLength: 3 }).map((each) => JSON.stringify({ keys: each })),
    keys.map((each) => JSON.stringify({ keys: each })),
    fc.json(),
    junk,
  );
}

/** Requests at the stream routes: methods, paths, queries, headers, tickets and bodies, right, wrong and impossible. */
export function randomStreamRequests(known: KnownThings, count: number, seed: number): RandomRequest[] {
  const methods = fc.oneof(
    { weight: 6, arbitrary: fc.constant('GET') },
    {
      weight: 4,
      arbitrary: fc.constantFrom('POST', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'TRACE', 'PURGE'),
    },
  );
  const root = fc.constantFrom(
    '/api/v1/streams',
    '/api/v1/streams',
    '/api/v1/streams',
    '/api/v1/STREAMS',
    '/api//v1/streams',
  );
  const requests = fc.record({
    method: methods,
    path: fc
      .tuple(root, pathArbitrary(known), queryArbitrary(known))
      .map(([base, path, query]) => `${base}${path}?${query}`),
    headers: headersArbitrary(known),
    body: bodyArbitrary(known),
    leavesAfterMs: sometimes(fc.nat({ max: 5 }), 20),
  });
  // Nearly right ones, which chance alone would hardly ever make.
  const secret = fc.constantFrom(...known.secrets).map((each) => ({ authorization: `Bearer ${each}` }));
  const ticketRequests = fc.record({
    method: fc.constant('POST'),
    path: fc.constant('/api/v1/streams/tickets'),
    headers: secret.map((header) => ({ ...header, 'content-type': 'application/json' })),
    body: bodyArbitrary(known),
    leavesAfterMs: fc.constant(undefined),
  });
  const keys = fc.array(fc.constantFrom(...known.keys), { minLength: 1, maxLength: 5 });
  const ticket = fc.constantFrom(...known.tickets);
  const query = fc.oneof(
    keys.map((each) => each.map((key) => `key=${key}`).join('&')),
    fc.tuple(ticket, hex(12)).map(([each, epoch]) => `ticket=${each}&lastEventId=${epoch}.1`),
  );
  const streamRequests = fc.record({
    method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
    path: fc
      .tuple(query, fc.constantFrom('', '&duration=1ms', '&duration=20ms'))
      .map((parts) => `/api/v1/streams?${parts.join('')}`),
    headers: fc.oneof(secret, fc.constant({})),
    body: fc.constant(undefined),
    leavesAfterMs: sometimes(fc.nat({ max: 20 }), 30),
  });
  const all = fc.oneof(
    { weight: 6, arbitrary: requests },
    { weight: 1, arbitrary: ticketRequests },
    { weight: 3, arbitrary: streamRequests },
  );
  return fc.sample<RandomRequest>(all, { numRuns: count, seed });
}

/** Sends it and resolves when the connection has done with it. A stream is left with its first bytes. */
export function send(origin: string, agent: Agent, asked: RandomRequest): Promise<Outcome> {
  return new Promise((resolve) => {
    const { method, path, headers, body } = asked;
    const timer = asked.leavesAfterMs === undefined ? undefined : setTimeout(() => leave('left'), asked.leavesAfterMs);
    const leave = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      call.destroy();
    };
    // Without it a body of a GET would be sent as the beginning of another request.
    const framing = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const call = request(`${origin}${path}`, { method, headers: { ...headers, ...framing }, agent }, (response) => {
      const status = response.statusCode ?? 0;
      const isStream = /event-stream/.test(response.headers['content-type'] ?? '');
      response.on('data', () => isStream && leave(status));
      response.on('error', () => leave('cut'));
      response.on('end', () => {
        clearTimeout(timer);
        resolve(status);
      });
    });
    call.on('error', () => leave('cut'));
    call.end(body);
  });
}
