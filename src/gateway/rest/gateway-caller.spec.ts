import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { Principal } from '../../auth/index.js';
import { callerOf } from './gateway-caller.js';

const principal: Principal = { kind: 'user', id: 'somebody', role: 'operator', tenantId: 'default' };

function called(method: string, writableFinished = false) {
  const response = Object.assign(new EventEmitter(), { writableFinished });
  const request = { principal, method, get: () => 'key-1' as string & string[] };
  return { caller: callerOf(request, response as never), response };
}

describe('a caller over REST', () => {
  it('ends what it reads by leaving', () => {
    const { caller, response } = called('GET');
    expect(caller).toMatchObject({ principal, signal: { aborted: false } });
    expect(caller.idempotencyKey).toBeUndefined();
    response.emit('close');
    expect(caller.signal.aborted).toBe(true);
  });

  it('ends nothing by having got the answer', () => {
    const { caller, response } = called('GET', true);
    response.emit('close');
    expect(caller.signal.aborted).toBe(false);
  });

  it('ends no mutation by leaving, and brings its key', () => {
    const { caller, response } = called('POST');
    response.emit('close');
    expect(caller).toMatchObject({ signal: { aborted: false }, idempotencyKey: 'key-1' });
  });

  it('is somebody', () => {
    expect(() => callerOf({ method: 'GET', get: () => undefined } as never, new EventEmitter() as never)).toThrow();
  });
});
