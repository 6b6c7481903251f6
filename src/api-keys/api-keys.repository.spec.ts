import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ADMIN, type TenantRoom, openTenantRoom } from '../../test/support/tenant-room.js';
import { type Principal, secretDigest } from '../auth/index.js';
import { CryptoRandom } from '../runtime/random.js';
import { ApiKeyAuthority } from './api-key-authority.js';
import { ApiKeysRepository } from './api-keys.repository.js';
import { ApiKeysService } from './api-keys.service.js';

const DEFAULT_ADMIN: Principal = { kind: 'user', id: 'dan', role: 'admin', tenantId: 'default' };
const LIST = { limit: 50 };

let room: TenantRoom;
let repository: ApiKeysRepository;
let service: ApiKeysService;
let authority: ApiKeyAuthority;

beforeAll(async () => {
  room = await openTenantRoom();
  repository = new ApiKeysRepository(room.database.connection);
  service = new ApiKeysService(repository, room.service, room.bus, room.clock, new CryptoRandom());
  authority = new ApiKeyAuthority(repository, room.clock);
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.database.connection.db?.collection('api_keys').deleteMany({});
  room.bus.events.length = 0;
});

const make = (by: Principal, changes: object = {}) =>
  service.create(by, { name: 'ci', role: 'operator', expiresInMs: null, ...changes });

describe('API keys', () => {
  it('are shown once, and stored as no more than a digest', async () => {
    const { key, ...shown } = await make(ADMIN, { tenantId: 'default' });
    expect(key).toMatch(new RegExp(`^csk_${shown.id}\\.[\\w-]{43}$`));
    const secret = key.split('.')[1] ?? '';
    const stored = await repository.find(ADMIN, shown.id);
    const everything = JSON.stringify([stored, shown, await service.list(ADMIN, LIST), room.bus.events]);
    expect(everything).not.toContain(secret);
    const told = JSON.stringify([await service.get(ADMIN, shown.id), room.bus.events]);
    expect(told).not.toContain(stored?.digest);
  });

  it('make a principal of their own until they are revoked', async () => {
    const { key, id } = await make(ADMIN, { tenantId: 'default' });
    const principal = { kind: 'user', id: `ci.${id}`, role: 'operator', tenantId: 'default' } as const;
    expect(await authority.find(key)).toEqual(principal);
    expect(await authority.stands(principal)).toBe(true);
    for (const changed of [{ role: 'admin' }, { tenantId: '*' }, { id: `other.${id}` }, { kind: 'agent' }] as const) {
      expect(await authority.stands({ ...principal, ...changed })).toBe(false);
    }
    await service.revoke(DEFAULT_ADMIN, id);
    expect(await authority.find(key)).toBe('unknown');
    expect(await authority.stands(principal)).toBe(false);
    expect(room.bus.of('api-key.changed').map(({ change }) => change)).toEqual(['created', 'revoked']);
  });

  it('are the same to nobody for an id that does not exist and a secret that is wrong', async () => {
    const { key, id } = await make(ADMIN);
    const wrong = `${key.slice(0, -2)}${key.endsWith('AA') ? 'BB' : 'AA'}`;
    expect(await authority.find(wrong)).toBe('unknown');
    expect(await authority.find(key.replace(id, 'f'.repeat(24)))).toBe('unknown');
    for (const text of ['csk_', `csk_${id}`, `csk_${id}.`, `csk_${'x'.repeat(24)}.${'a'.repeat(43)}`]) {
      expect(await authority.find(text)).toBe('unknown');
    }
  });

  it('cost the same where the id does not exist and where the secret is wrong: an index that finds nothing', async () => {
    const { id } = await make(ADMIN);
    const indexes = await room.database.connection.db?.collection('api_keys').indexes();
    expect(indexes?.map(({ key }) => key)).toContainEqual({ digest: 1 });
    const lookups: unknown[] = [];
    const find = repository.findByDigest.bind(repository);
    repository.findByDigest = (sent) => {
      lookups.push(sent);
      return find(sent);
    };
    const secret = 'a'.repeat(43);
    for (const each of [id, 'f'.repeat(24)]) expect(await authority.find(`csk_${each}.${secret}`)).toBe('unknown');
    repository.findByDigest = find;
    expect(lookups).toEqual([secretDigest(secret), secretDigest(secret)]);
  });

  it('end when they expire, known as such to whoever has the secret only', async () => {
    const { key, id, tenantId } = await make(ADMIN, { expiresInMs: 60_000 });
    expect(tenantId).toBe('*');
    const principal = await authority.find(key);
    await room.clock.advance(59_999);
    expect(await authority.find(key)).toEqual(principal);
    await room.clock.advance(1);
    expect(await authority.find(key)).toBe('over');
    expect(await authority.find(`csk_${id}.${'a'.repeat(43)}`)).toBe('unknown');
    expect(await authority.stands({ kind: 'user', id: `ci.${id}`, role: 'operator', tenantId: '*' })).toBe(false);
  });

  it('tell when they were used last, to the minute', async () => {
    const { key, id } = await make(ADMIN);
    const used = async (): Promise<number> => Date.parse((await service.get(ADMIN, id)).lastUsedAt ?? '');
    expect(await used()).toBeNaN();
    await Promise.all(Array.from({ length: 10 }, () => authority.find(key)));
    const first = room.clock.now();
    expect(await used()).toBe(first);
    await room.clock.advance(59_999);
    await authority.find(key);
    expect(await used()).toBe(first);
    await room.clock.advance(1);
    await authority.find(key);
    expect(await used()).toBe(first + 60_000);
  });

  it("of a tenant's admin are that tenant's, with a role that is not above its own", async () => {
    const foreign = await make(ADMIN, { name: 'everywhere' });
    const own = await make(DEFAULT_ADMIN);
    expect(own).toMatchObject({ tenantId: 'default', createdBy: 'dan' });
    expect((await service.list(DEFAULT_ADMIN, LIST)).items.map(({ name }) => name)).toEqual(['ci']);
    const missing = { code: 'resource.not_found' };
    await expect(service.get(DEFAULT_ADMIN, foreign.id)).rejects.toMatchObject(missing);
    await expect(service.revoke(DEFAULT_ADMIN, foreign.id)).rejects.toMatchObject(missing);
    for (const tenantId of ['*', 'acme']) {
      await expect(make(DEFAULT_ADMIN, { name: 'x', tenantId })).rejects.toMatchObject(missing);
    }
    const operator: Principal = { ...DEFAULT_ADMIN, role: 'operator' };
    await expect(make(operator, { name: 'x', role: 'admin' })).rejects.toMatchObject({ code: 'auth.forbidden' });
    await expect(make(DEFAULT_ADMIN)).rejects.toMatchObject({ code: 'resource.name_taken' });
  });

  it('belong to tenants that exist, and go with them', async () => {
    await expect(make(ADMIN, { tenantId: 'acme' })).rejects.toMatchObject({ code: 'resource.not_found' });
    expect((await service.list(ADMIN, LIST)).items).toEqual([]);
    const acme = await room.service.create(ADMIN, { name: 'acme' });
    const { key } = await make(ADMIN, { tenantId: 'acme' });
    await make(ADMIN, { name: 'kept' });
    await room.service.delete(ADMIN, acme.id);
    expect(await authority.find(key)).toBe('unknown');
    expect((await service.list(ADMIN, LIST)).items.map(({ name }) => name)).toEqual(['kept']);
  });
});
