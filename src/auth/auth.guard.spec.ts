import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { FakeClock } from '../../test/support/fake-clock.js';
import { AgentRoute, type AuthenticatedRequest, MetricsAccess, Roles } from './access.decorators.js';
import { digestOf } from './api-key.js';
import { AuthGuard } from './auth.guard.js';
import { Credentials, type FoundPrincipal } from './credential-authority.js';
import { FailedLogins } from './failed-logins.js';
import { ALL_TENANTS } from './principal.js';
import { type Ticket, Tickets } from './ticket-authority.js';

const SECRET = 'a-secret-of-24-characters!';
const KEY = { name: 'dash', role: 'viewer', tenantId: 'team-a', digest: digestOf(SECRET) } as const;
const PRINCIPAL = { kind: 'user', id: 'dash', role: 'viewer', tenantId: 'team-a' } as const;
const TICKET: Ticket = {
  id: '65b9f0c2a9b1d3e4f5061728',
  principal: PRINCIPAL,
  keys: ['clusters'],
  startedAt: null,
  resumableUntil: new Date(0),
};

const AGENT = { kind: 'agent', id: '65b9f0c2a9b1d3e4f5061729', role: 'operator', tenantId: 'team-a' } as const;

class Routes {
  @Roles('viewer')
  keyOnly(): void {}
  @Roles('viewer', { orTicket: true })
  keyOrTicket(): void {}
  @Roles('operator', { orTicket: true })
  operator(): void {}
  @AgentRoute()
  agent(): void {}
  @Roles('admin', { orAgent: true })
  adminOrAgent(): void {}
  @MetricsAccess()
  metrics(): void {}
  unmarked(): void {}
}

interface Call {
  readonly route?: keyof Routes;
  readonly ticket?: unknown;
  readonly authorization?: string;
  readonly address?: string;
}

describe('AuthGuard', () => {
  let clock: FakeClock;
  let known: Map<string, Ticket | 'over' | Error>;
  let guard: AuthGuard;
  let stored: Map<string, FoundPrincipal>;
  let standing: Set<string>;

  const open = (apiKeys: readonly (typeof KEY)[] | undefined, metricsPublic = false): AuthGuard => {
    const tickets = new Tickets();
    tickets.register({
      find: async (secret) => {
        const found = known.get(secret);
        if (found instanceof Error) throw found;
        return found ?? 'unknown';
      },
    });
    const config = { apiKeys: apiKeys && [...apiKeys], metricsPublic, failedLoginsPerAddress: 3 };
    const credentials = new Credentials();
    credentials.register({
      prefix: 'csx',
      find: async (credential) => stored.get(credential) ?? 'unknown',
      stands: async ({ id }) => standing.has(id),
    });
    return new AuthGuard(new Reflector(), tickets, credentials, new FailedLogins(3, clock), config);
  };
  const call = async (by: AuthGuard, asked: Call): Promise<AuthenticatedRequest> => {
    const { route = 'keyOrTicket', ticket, authorization, address = '203.0.113.9' } = asked;
    const request = {
      query: ticket === undefined ? {} : { ticket },
      headers: authorization === undefined ? {} : { authorization },
      socket: { remoteAddress: address },
    };
    const context = {
      getHandler: () => Routes.prototype[route],
      getClass: () => Routes,
      switchToHttp: () => ({ getRequest: () => request }),
    } as unknown as ExecutionContext;
    expect(await by.canActivate(context)).toBe(true);
    return request as AuthenticatedRequest;
  };

  beforeEach(() => {
    clock = new FakeClock();
    known = new Map([['right', TICKET]]);
    stored = new Map<string, FoundPrincipal>([
      ['csx_user', { kind: 'user', id: 'ci.1', role: 'viewer', tenantId: 'team-a' }],
      ['csx_agent', AGENT],
      ['csx_old', 'over'],
    ]);
    standing = new Set();
    guard = open([KEY]);
  });

  it('shows the metrics to callers of all tenants, or to everybody', async () => {
    stored.set('csx_everywhere', { kind: 'user', id: 'prometheus.1', role: 'viewer', tenantId: ALL_TENANTS });
    await call(guard, { route: 'metrics', authorization: 'Bearer csx_everywhere' });
    await expect(call(guard, { route: 'metrics', authorization: 'Bearer csx_user' })).rejects.toMatchObject({
      code: 'auth.forbidden',
      detail: expect.stringContaining('team-a'),
    });
    await expect(call(guard, { route: 'metrics' })).rejects.toMatchObject({ code: 'auth.required' });
    await call(open([KEY], true), { route: 'metrics' });
    await call(open(undefined), { route: 'metrics' });
  });

  it('takes a ticket where the route says so, and nowhere else', async () => {
    expect(await call(guard, { ticket: 'right' })).toMatchObject({ principal: PRINCIPAL, ticket: TICKET });
    await expect(call(guard, { route: 'keyOnly', ticket: 'right' })).rejects.toMatchObject({ code: 'auth.required' });
    await expect(call(guard, { route: 'unmarked', ticket: 'right' })).rejects.toMatchObject({ code: 'auth.required' });
    await expect(call(guard, { route: 'operator', ticket: 'right' })).rejects.toMatchObject({ code: 'auth.forbidden' });
  });

  it('asks for a right key beside a ticket if any is sent, and then goes by the ticket', async () => {
    const ticket = { ...TICKET, principal: { ...PRINCIPAL, id: 'other' } };
    known.set('of another', ticket);
    const both = open([KEY, { ...KEY, name: 'other', digest: digestOf('another') } as unknown as typeof KEY]);
    const authorization = `Bearer ${SECRET}`;
    expect(await call(both, { ticket: 'of another', authorization })).toMatchObject({ principal: { id: 'other' } });
    for (const wrong of ['Bearer nonsense', 'Basic ZGFzaDp4', '']) {
      const refused = call(guard, { ticket: 'right', authorization: wrong, address: '127.0.0.1' });
      await expect(refused).rejects.toMatchObject({ code: 'auth.required' });
    }
  });

  it('refuses a ticket whose principal has no key with that role and tenant any more', async () => {
    for (const changed of [
      { id: 'gone' },
      { role: 'admin' },
      { tenantId: 'team-b' },
      { tenantId: ALL_TENANTS },
    ] as const) {
      known.set('right', { ...TICKET, principal: { ...PRINCIPAL, ...changed } });
      await expect(call(guard, { ticket: 'right' })).rejects.toMatchObject({
        code: 'stream.ticket_refused',
        status: 401,
      });
    }
    const local = { kind: 'user', id: 'local', role: 'admin', tenantId: ALL_TENANTS } as const;
    known.set('right', { ...TICKET, principal: local });
    await expect(call(guard, { ticket: 'right' })).rejects.toMatchObject({ code: 'stream.ticket_refused' });
    expect(await call(open(undefined), { ticket: 'right' })).toMatchObject({ principal: local });
  });

  it('says what to do about a wrong ticket, never the ticket itself', async () => {
    for (const ticket of ['wrong', '', ['right', 'right'], ['right']]) {
      const refused = call(guard, { ticket, address: '127.0.0.1' });
      await expect(refused).rejects.toMatchObject({
        code: 'stream.ticket_refused',
        detail: 'the ticket is unknown; get a new one with POST /api/v1/streams/tickets',
      });
    }
  });

  it('counts wrong tickets as failed logins of the address', async () => {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(call(guard, { ticket: 'wrong' })).rejects.toMatchObject({ code: 'stream.ticket_refused' });
    }
    const blocked = { code: 'request.rate_limited', headers: { 'Retry-After': '900' } };
    await expect(call(guard, { ticket: 'right' })).rejects.toMatchObject(blocked);
    await expect(call(guard, { authorization: `Bearer ${SECRET}` })).rejects.toMatchObject(blocked);
    await call(guard, { ticket: 'right', address: '203.0.113.10' });
    await clock.advance(15 * 60_000);
    await call(guard, { ticket: 'right' });
  });

  it('counts no ticket that was right once: whole offices of browsers come back with theirs', async () => {
    known.set('right', 'over');
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const refused = { code: 'stream.ticket_refused', detail: expect.stringContaining('has expired or was revoked') };
      await expect(call(guard, { ticket: 'right' })).rejects.toMatchObject(refused);
    }
  });

  it('passes on that tickets cannot be looked up, and counts nothing', async () => {
    known.set('right', new Error('the store is away'));
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await expect(call(guard, { ticket: 'right' })).rejects.toThrow('the store is away');
    }
    known.set('right', TICKET);
    await call(guard, { ticket: 'right' });
  });

  it('takes stored credentials, looked up at every request', async () => {
    const authorization = 'Bearer csx_user';
    expect(await call(guard, { authorization })).toMatchObject({ principal: { id: 'ci.1' } });
    stored.delete('csx_user');
    const refused = { code: 'auth.required', detail: 'the credential is unknown, expired or revoked' };
    await expect(call(guard, { authorization })).rejects.toMatchObject(refused);
    for (const other of ['csx_old', 'csx_none', 'csy_none', 'nonsense']) {
      await expect(call(guard, { authorization: `Bearer ${other}`, address: '::1' })).rejects.toMatchObject(refused);
    }
  });

  it('counts a guessed stored credential as a failed login, and none that was right once', async () => {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const over = call(guard, { authorization: 'Bearer csx_old' });
      await expect(over).rejects.toMatchObject({ code: 'auth.required' });
    }
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const guessed = call(guard, { authorization: 'Bearer csx_guess' });
      await expect(guessed).rejects.toMatchObject({ code: 'auth.required' });
    }
    const blocked = { code: 'request.rate_limited' };
    await expect(call(guard, { authorization: 'Bearer csx_user' })).rejects.toMatchObject(blocked);
    const local = open(undefined);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const guessed = call(local, { authorization: 'Bearer csx_guess' });
      await expect(guessed).rejects.toMatchObject({ code: 'auth.required' });
    }
    await expect(call(local, { authorization: 'Bearer csx_guess' })).rejects.toMatchObject(blocked);
  });

  it('lets agents call the routes of agents, and users all others', async () => {
    const forbidden = { code: 'auth.forbidden' };
    const [user, agent] = ['Bearer csx_user', 'Bearer csx_agent'];
    expect(await call(guard, { route: 'agent', authorization: agent })).toMatchObject({ principal: AGENT });
    expect(await call(guard, { route: 'adminOrAgent', authorization: agent })).toMatchObject({ principal: AGENT });
    await expect(call(guard, { route: 'agent', authorization: user })).rejects.toMatchObject(forbidden);
    await expect(call(guard, { route: 'adminOrAgent', authorization: user })).rejects.toMatchObject(forbidden);
    for (const route of ['keyOnly', 'keyOrTicket', 'operator', 'unmarked'] as const) {
      await expect(call(guard, { route, authorization: agent })).rejects.toMatchObject(forbidden);
    }
  });

  it('knows agents by their credential also where users need none', async () => {
    const local = open(undefined);
    expect(await call(local, { authorization: 'Bearer anything' })).toMatchObject({ principal: { id: 'local' } });
    expect(await call(local, { authorization: 'Bearer csx_user' })).toMatchObject({ principal: { id: 'ci.1' } });
    expect(await call(local, { route: 'agent', authorization: 'Bearer csx_agent' })).toMatchObject({
      principal: AGENT,
    });
    await expect(call(local, { route: 'agent' })).rejects.toMatchObject({ code: 'auth.required' });
    await expect(call(local, { authorization: 'Bearer csx_old' })).rejects.toMatchObject({ code: 'auth.required' });
  });

  it('takes the ticket of a principal with a stored key for as long as the key stands', async () => {
    const principal = { ...PRINCIPAL, id: 'ci.1' };
    known.set('right', { ...TICKET, principal });
    standing.add('ci.1');
    expect(await call(guard, { ticket: 'right' })).toMatchObject({ principal });
    expect(await call(open(undefined), { ticket: 'right' })).toMatchObject({ principal });
    standing.delete('ci.1');
    await expect(call(guard, { ticket: 'right' })).rejects.toMatchObject({ code: 'stream.ticket_refused' });
  });
});
