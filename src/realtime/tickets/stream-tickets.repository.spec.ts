import '../../../test/support/quiet-logger.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Model } from 'mongoose';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { type TestDatabase, openTestDatabase } from '../../../test/support/test-database.js';
import type { Principal } from '../../auth/principal.js';
import type { Ticket } from '../../auth/ticket-authority.js';
import { AppError } from '../../errors/app-error.js';
import { CryptoRandom } from '../../runtime/random.js';
import type { ResolvedTopic } from '../streams/stream-topics.js';
import { type StreamTicketDocument, streamTicketSchema } from './stream-ticket.schema.js';
import { StreamTicketsRepository } from './stream-tickets.repository.js';
import { StreamTicketsService } from './stream-tickets.service.js';
import { TicketStreams } from './ticket-streams.js';

const HOUR_MS = 3_600_000;
const KEYS = ['workflow:65b9f0c2a9b1d3e4f5061728', 'clusters'];
const DASH: Principal = { kind: 'user', id: 'dash', role: 'viewer', tenantId: 'team-a' };
const OTHER: Principal = { ...DASH, id: 'other' };
const ADMIN: Principal = { ...DASH, id: 'ops', role: 'admin' };
const STRANGER: Principal = { ...ADMIN, id: 'stranger', tenantId: 'team-b' };

/** Ahead of the store's own clock, by which it removes what has expired. */
const EPOCH = Date.UTC(2100, 0, 1);

describe('stream tickets', () => {
  let database: TestDatabase;
  let model: Model<StreamTicketDocument>;
  let clock: FakeClock;
  let streams: TicketStreams;
  let tickets: StreamTicketsService;
  /** Keys that nobody may read. */
  const hidden = new Set<string>();

  const broadcaster = {
    authorize: async (_: Principal, keys: readonly string[]): Promise<readonly ResolvedTopic[]> => {
      if (keys.some((key) => hidden.has(key))) throw AppError.notFound('workflow');
      return [];
    },
  };

  beforeAll(async () => {
    database = await openTestDatabase();
    model = database.connection.model<StreamTicketDocument>('StreamTicket', streamTicketSchema);
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    await model.deleteMany({});
    hidden.clear();
    clock = new FakeClock(EPOCH);
    const repository = new StreamTicketsRepository(model);
    streams = new TicketStreams(repository, clock);
    const config = { streamTicketLifetimeMs: 12 * HOUR_MS };
    tickets = new StreamTicketsService(repository, streams, broadcaster, clock, new CryptoRandom(), config);
  });

  const found = async (secret: string): Promise<Ticket> => {
    const ticket = await tickets.find(secret);
    if (typeof ticket === 'string') throw new Error(`the ticket is ${ticket}`);
    return ticket;
  };
  /** A stream that has sent its first event. */
  const stream = async (ticket: Ticket): Promise<{ cut: boolean; closed: () => void }> => {
    const state = { cut: false, closed: () => use.onClosed() };
    const use = streams.begin(ticket, () => (state.cut = true));
    use.onStarted();
    await streams.stop();
    return state;
  };

  it('tells the secret once and stores its digest only', async () => {
    const issued = await tickets.issue(DASH, KEYS);
    expect(issued).toMatchObject({
      ticket: expect.stringMatching(/^cst_[\w-]{43}$/),
      keys: KEYS,
      firstUseBy: '2100-01-01T00:00:30.000Z',
      expiresAt: '2100-01-01T12:00:00.000Z',
      path: `/api/v1/streams?ticket=${issued.ticket}`,
    });
    const stored = await database.connection.collection('stream_tickets').find().toArray();
    expect(stored).toHaveLength(1);
    expect(JSON.stringify(stored)).not.toContain(issued.ticket.slice(4));
    expect(await found(issued.ticket)).toMatchObject({ id: issued.id, principal: DASH, keys: KEYS, startedAt: null });
  });

  it('is not given for what the principal may not read', async () => {
    hidden.add('clusters');
    await expect(tickets.issue(DASH, KEYS)).rejects.toMatchObject({ code: 'resource.not_found' });
    expect(await model.countDocuments()).toBe(0);
  });

  it('knows no other secret', async () => {
    const { ticket } = await tickets.issue(DASH, KEYS);
    for (const forged of [
      '',
      'cst_',
      `${ticket}x`,
      ticket.toUpperCase(),
      `cst_${'A'.repeat(43)}`,
      '$ne',
      'x'.repeat(1e6),
    ]) {
      expect(await tickets.find(forged)).toBe('unknown');
    }
  });

  it('begins its stream within 30 s, as often as it takes until the first event was sent', async () => {
    const { ticket } = await tickets.issue(DASH, KEYS);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await clock.advance(9_999);
      const known = await found(ticket);
      expect(tickets.admit(known, undefined, undefined)).toEqual(KEYS);
      streams.begin(known, () => undefined).onClosed();
    }
    await clock.advance(3);
    expect(await tickets.find(ticket)).toBe('over');
  });

  it('then only brings a client back that has a Last-Event-ID, for 12 h', async () => {
    const { ticket } = await tickets.issue(DASH, KEYS);
    await clock.advance(29_000);
    await stream(await found(ticket));
    for (const hours of [1, 10]) {
      await clock.advance(hours * HOUR_MS);
      const used = await found(ticket);
      expect(() => tickets.admit(used, undefined, undefined)).toThrow(/has been used.*get a new one/);
      expect(tickets.admit(used, undefined, 'an id of another epoch')).toEqual(KEYS);
      await stream(used);
    }
    await clock.advance(HOUR_MS);
    expect(await tickets.find(ticket)).toBe('over');
  });

  it('is for its own keys, in whatever order, and for no others', async () => {
    const ticket = await found((await tickets.issue(DASH, KEYS)).ticket);
    expect(tickets.admit(ticket, KEYS.toReversed(), undefined)).toEqual(KEYS);
    for (const keys of [KEYS.slice(1), [...KEYS, 'cluster:65b9f0c2a9b1d3e4f5061728'], ['clusters', 'clusters']]) {
      expect(() => tickets.admit(ticket, keys, undefined)).toThrow('this ticket is not for these streams');
    }
  });

  it('is revoked by its owner or an admin of the tenant, and its streams are cut', async () => {
    for (const by of [DASH, ADMIN, { ...ADMIN, tenantId: '*' }]) {
      const { ticket, id } = await tickets.issue(DASH, KEYS);
      const running = await stream(await found(ticket));
      for (const refused of [OTHER, STRANGER, { ...DASH, tenantId: 'team-b' }]) {
        await expect(tickets.revoke(refused, id)).rejects.toMatchObject({ code: 'resource.not_found' });
      }
      expect(running.cut).toBe(false);
      await tickets.revoke(by, id);
      expect(running.cut).toBe(true);
      expect(await tickets.find(ticket)).toBe('over');
      await expect(tickets.revoke(by, id)).rejects.toMatchObject({ code: 'resource.not_found' });
    }
  });

  it('cuts a stream whose ticket was revoked between its check and its first event', async () => {
    const { ticket, id } = await tickets.issue(DASH, KEYS);
    const checked = await found(ticket);
    await tickets.revoke(DASH, id);
    expect(await stream(checked)).toMatchObject({ cut: true });
    expect(await tickets.find(ticket)).toBe('over');
  });

  it('lets 1000 wait unused for each principal, however many ask at once', async () => {
    const { ticket } = await tickets.issue(DASH, KEYS);
    const template = await model.findOne().lean();
    if (!template) throw new Error('nothing was stored');
    const { _id, ...rest } = template;
    await model.insertMany(Array.from({ length: 989 }, (_, n) => ({ ...rest, digest: String(n) })));
    const outcomes = await Promise.allSettled(Array.from({ length: 30 }, () => tickets.issue(DASH, KEYS)));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused.length).toBeGreaterThanOrEqual(20);
    for (const reason of refused) {
      expect(reason).toMatchObject({ code: 'stream.limit', status: 429, headers: { 'Retry-After': '30' } });
    }
    expect(await model.countDocuments()).toBe(990 + 30 - refused.length);
    await tickets.issue(OTHER, KEYS);
    while ((await model.countDocuments({ principalId: 'dash' })) < 1_000) await tickets.issue(DASH, KEYS);
    await expect(tickets.issue(DASH, KEYS)).rejects.toMatchObject({ code: 'stream.limit' });
    await stream(await found(ticket));
    await tickets.issue(DASH, KEYS);
    await clock.advance(30_000);
    await tickets.issue(DASH, KEYS);
  });

  it('marks the ticket once more when the stream ends, where the store was away as it began', async () => {
    const { ticket } = await tickets.issue(DASH, KEYS);
    const known = await found(ticket);
    let away = true;
    const flaky = {
      markStarted: (...mark: Parameters<StreamTicketsRepository['markStarted']>) =>
        away ? Promise.reject(new Error('the store is away')) : new StreamTicketsRepository(model).markStarted(...mark),
    };
    const flakyStreams = new TicketStreams(flaky, clock);
    const use = flakyStreams.begin(known, () => undefined);
    use.onStarted();
    await settle();
    expect(await found(ticket)).toMatchObject({ startedAt: null });
    away = false;
    use.onClosed();
    await flakyStreams.stop();
    expect(await found(ticket)).toMatchObject({ startedAt: new Date(clock.now()) });
  });
});
