import type { Connection } from 'mongoose';
import type { Principal } from '../../src/auth/principal.js';
import type { EventMap, EventType, PublishOptions } from '../../src/realtime/index.js';
import { Plans } from '../../src/tenants/plans.js';
import { type TenantsConfig, tenantsConfig } from '../../src/tenants/tenants.config.js';
import { TenantsRepository } from '../../src/tenants/tenants.repository.js';
import { TenantsService } from '../../src/tenants/tenants.service.js';
import { VirtualClocks } from '../../src/tenants/virtual-clocks.js';
import { configDefaults } from './config-defaults.js';
import { FakeClock } from './fake-clock.js';
import { FakeServerTime } from './fake-server-time.js';
import { openTestDatabase } from './test-database.js';

export const ADMIN: Principal = { kind: 'user', id: 'ada', role: 'admin', tenantId: '*' };

/** Keeps what was published, oldest first. */
export class RecordingBus {
  readonly events: Array<{ type: EventType; payload: unknown; options: PublishOptions }> = [];

  publish = <T extends EventType>(type: T, payload: EventMap[T], options: PublishOptions = {}): number =>
    this.events.push({ type, payload, options });

  of<T extends EventType>(type: T): Array<EventMap[T]> {
    return this.events.filter((event) => event.type === type).map(({ payload }) => payload as EventMap[T]);
  }
}

/** Tenants on a database that is there already. Its time is the clock's. */
export function makeTenants(connection: Connection, clock: FakeClock, settings: Partial<TenantsConfig> = {}) {
  const config = configDefaults(tenantsConfig, settings);
  const time = new FakeServerTime(clock);
  const bus = new RecordingBus();
  const repository = new TenantsRepository(connection, time);
  const plans = new Plans(config);
  const clocks = new VirtualClocks(repository, plans, config, time);
  const service = new TenantsService(repository, plans, bus, clock);
  return { config, time, bus, repository, plans, clocks, service };
}

export async function openTenantRoom(settings: Partial<TenantsConfig> = {}) {
  const database = await openTestDatabase();
  const clock = new FakeClock();
  return { ...makeTenants(database.connection, clock, settings), clock, database, close: () => database.close() };
}

export type TenantRoom = Awaited<ReturnType<typeof openTenantRoom>>;
