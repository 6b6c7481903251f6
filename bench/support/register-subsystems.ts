import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from './service-process.ts';

/** Registers each endpoint under its id over REST; resolves when all are connected. */
export async function registerSubsystems(
  service: ServiceProcess,
  subsystems: Iterable<readonly [id: string, endpoint: string]>,
): Promise<void> {
  const all = [...subsystems];
  for (const [id, endpoint] of all) await service.call('POST', '/gateway/subsystems', { id, endpoint });
  for (let tries = 0; ; tries += 1) {
    const { items } = await service.call<{ items: Array<{ state: string }> }>('GET', '/gateway/subsystems');
    if (items.filter(({ state }) => state === 'connected').length === all.length) return;
    if (tries > 100) throw new Error(`the subsystems do not connect: ${JSON.stringify(items)}`);
    await delay(100);
  }
}
