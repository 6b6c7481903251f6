import { describe, expect, it } from '@jest/globals';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { type Observable, firstValueFrom, of, throwError } from 'rxjs';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import type { Answer, Claim, IdempotencyKeysRepository } from './idempotency-keys.repository.js';
import { IdempotencyInterceptor, type RepeatableRequest } from './idempotency.interceptor.js';

const ANN: Principal = { kind: 'user', id: 'ann', role: 'operator', tenantId: 'default' };

/** As the repository: one entry for each key. */
class FakeKeys {
  private readonly entries = new Map<string, { readonly hash: string; answer?: Answer }>();

  claim = async (_: Principal, key: string, hash: string): Promise<Claim> => {
    const known = this.entries.get(key);
    if (!known) this.entries.set(key, { hash });
    if (!known) return 'first';
    return known.hash === hash ? (known.answer ?? 'running') : 'other-request';
  };

  answer = async (_: Principal, key: string, answer: Answer): Promise<void> => {
    const known = this.entries.get(key);
    if (known) known.answer = answer;
  };

  release = async (_: Principal, key: string): Promise<void> => void this.entries.delete(key);
}

class Room {
  /** Requests that came to the handler. */
  handled = 0;
  private readonly interceptor = new IdempotencyInterceptor(new FakeKeys() as unknown as IdempotencyKeysRepository);

  async send(
    answer: Observable<unknown>,
    { key = 'key-1', body = {} as unknown, note = undefined as string | undefined },
  ) {
    const headers: Record<string, string> = {};
    const response = {
      statusCode: 200,
      status(status: number) {
        this.statusCode = status;
        return this;
      },
      set(name: string, value: string) {
        headers[name] = value;
        return this;
      },
      type: () => response,
      getHeader: (name: string) => headers[name],
    };
    const request = { principal: ANN, method: 'POST', originalUrl: '/x', body, get: () => key } as RepeatableRequest;
    const context = { switchToHttp: () => ({ getRequest: () => request, getResponse: () => response }) };
    const handle = (): Observable<unknown> => {
      this.handled += 1;
      if (note !== undefined) request.noteForRepeats = () => note;
      return answer;
    };
    const next: CallHandler = { handle };
    const given = await this.interceptor.intercept(context as unknown as ExecutionContext, next);
    const told: unknown = await firstValueFrom(given);
    return { told, status: response.statusCode, noteOfFirst: request.noteOfFirst, headers };
  }
}

describe('an Idempotency-Key', () => {
  it('gives repeats the first answer, and what the route noted of it', async () => {
    const room = new Room();
    const first = await room.send(of({ n: 1 }), { note: 'of run 1' });
    expect(first).toMatchObject({ told: { n: 1 }, noteOfFirst: undefined, headers: {} });
    const repeat = await room.send(of({ n: 2 }), { note: 'of run 2' });
    expect(repeat).toMatchObject({ told: { n: 1 }, noteOfFirst: 'of run 1' });
    expect(repeat.headers).toEqual({ 'Idempotency-Replayed': 'true' });
    expect(room.handled).toBe(1);
  });

  it('leaves repeats without a note where the route made none', async () => {
    const room = new Room();
    await room.send(of({ n: 1 }), {});
    expect(await room.send(of({ n: 2 }), {})).toMatchObject({ told: { n: 1 }, noteOfFirst: undefined });
  });

  it('keeps a failure that leaves open whether it was done, with its note, and no other', async () => {
    const room = new Room();
    const fails = (code: 'gateway.outcome_unknown' | 'gateway.refused') => throwError(() => new AppError(code, 'no'));
    const refused = room.send(fails('gateway.refused'), { key: 'refused' });
    await expect(refused).rejects.toMatchObject({ code: 'gateway.refused' });
    expect(await room.send(of({ n: 2 }), { key: 'refused' })).toMatchObject({ told: { n: 2 } });
    const unknown = room.send(fails('gateway.outcome_unknown'), { key: 'unknown', note: 'of run 1' });
    await expect(unknown).rejects.toMatchObject({ code: 'gateway.outcome_unknown' });
    const { told, status, noteOfFirst } = await room.send(of({ n: 2 }), { key: 'unknown' });
    expect(told).toMatchObject({ code: 'gateway.outcome_unknown' });
    expect([status >= 400, noteOfFirst]).toEqual([true, 'of run 1']);
    expect(room.handled).toBe(3);
  });

  it('is refused with another request, and where it is none', async () => {
    const room = new Room();
    await room.send(of({}), { body: { a: 1 } });
    await expect(room.send(of({}), { body: { a: 2 } })).rejects.toMatchObject({
      code: 'request.idempotency_key_reused',
    });
    await expect(room.send(of({}), { key: 'a b' })).rejects.toMatchObject({ code: 'request.invalid' });
    expect(room.handled).toBe(1);
  });
});
