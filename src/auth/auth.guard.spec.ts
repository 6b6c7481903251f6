import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { FakeClock } from '../../test/support/fake-clock.js';
import { type AuthenticatedRequest, Roles } from './access.decorators.js';
import { digestOf } from './api-key.js';
import { AuthGuard } from './auth.guard.js';
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

class Routes {
  @Roles('viewer')
  keyOnly(): void {}
  @Roles('viewer', { orTicket: true })
  keyOrTicket(): void {}
  @Roles('operator', { orTicket: true })
  operator(): void {}
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

  const open = (apiKeys: readonly (typeof KEY)[] | undefined): AuthGuard => {
    const tickets = new Tickets();
    tickets.register({
      find: async (secret) => {
        const found = known.get(secret);
        if (found instanceof Error) throw found;
        return found ?? 'unknown';
      },
    });
    const config = { apiKeys: apiKeys && [...apiKeys], metricsPublic: false, failedLoginsPerAddress: 3 };
    return new AuthGuard(new Reflector(), tickets, config, clock);
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
    guard = open([KEY]);
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
});
