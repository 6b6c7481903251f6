import { describe, expect, it } from '@jest/globals';
import { apiKey, principalOf } from './api-key.js';

const parse = (text: string) => apiKey().parse(text);

describe('apiKey', () => {
  it('reads name, role, tenant and a secret that may hold colons', () => {
    const keys = [parse('ops:admin:abc:defghijklmnop'), parse('dash:viewer@team-a:0123456789abcdef')];
    expect(principalOf(keys, 'abc:defghijklmnop')).toEqual({ kind: 'user', id: 'ops', role: 'admin', tenantId: '*' });
    expect(principalOf(keys, '0123456789abcdef')).toEqual({
      kind: 'user',
      id: 'dash',
      role: 'viewer',
      tenantId: 'team-a',
    });
    expect(principalOf(keys, '0123456789abcdeg')).toBeUndefined();
  });

  it.each([
    'ops:admin:short',
    'ops:root:0123456789abcdef',
    'ops:admin@:0123456789abcdef',
    'ops:admin@*:0123456789abcdef',
    ':admin:0123456789abcdef',
  ])('refuses %s', (text) => expect(() => parse(text)).toThrow());

  it('keeps no secret', () => {
    expect(JSON.stringify(parse('ops:admin:abc:defghijklmnop'))).not.toContain('defghijklmnop');
  });
});
