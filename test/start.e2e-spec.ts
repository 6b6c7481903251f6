import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ApiClient } from './support/api-client.js';
import { Service, type ServiceOptions } from './support/service.js';

describe('starting the service', () => {
  const services: Service[] = [];

  const spawn = async (options: ServiceOptions): Promise<Service> => {
    const service = await Service.spawn(options);
    services.push(service);
    return service;
  };
  const start = async (options: ServiceOptions = {}): Promise<Service> => {
    const service = await Service.start(options);
    services.push(service);
    return service;
  };
  /** Exit code and output of a start that fails. */
  const refusal = async (environment: Record<string, string>): Promise<{ code: number | null; text: string }> => {
    const service = await spawn({ environment });
    const code = await service.exited();
    return { code, text: service.text };
  };

  afterEach(async () => {
    for (const service of services.splice(0)) await service.dispose();
  });

  it('reports every mistake of the configuration at once, and never a secret', async () => {
    const { code, text } = await refusal({
      PORT: 'http',
      LOG_LEVEL: 'loud',
      CROWSNEST_DRAIN_DELY: '5s',
      CROWSNEST_API_KEYS: 'hunter2',
    });
    expect(code).toBe(78);
    expect(text).toContain('PORT: "http" is not a whole number');
    expect(text).toContain('LOG_LEVEL: "loud"');
    expect(text).toContain('did you mean CROWSNEST_DRAIN_DELAY?');
    expect(text).toContain('CROWSNEST_API_KEYS: its value is not');
    expect(text).not.toContain('hunter2');
  });

  it('refuses to listen beyond loopback without keys, and offers one that works', async () => {
    const { code, text } = await refusal({ HOST: '0.0.0.0' });
    expect(code).toBe(78);
    const [, key = ''] = /CROWSNEST_API_KEYS=(\S+)/.exec(text) ?? [];
    const service = await start({ environment: { HOST: '0.0.0.0', CROWSNEST_API_KEYS: key } });
    const url = `http://127.0.0.1:${new URL(service.url).port}`;
    expect((await new ApiClient(url).call('GET', '/version')).status).toBe(401);
    expect((await new ApiClient(url, key.split(':')[2]).call('GET', '/version')).status).toBe(200);
  });

  it('ignores what Kubernetes injects for Services called crowsnest and crowsnest-gateway', async () => {
    const injected = ['CROWSNEST', 'CROWSNEST_GATEWAY'].flatMap((prefix) => [
      [`${prefix}_SERVICE_HOST`, '10.0.0.11'],
      [`${prefix}_SERVICE_PORT`, '3000'],
      [`${prefix}_SERVICE_PORT_HTTP`, '3000'],
      [`${prefix}_PORT`, 'tcp://10.0.0.11:3000'],
      [`${prefix}_PORT_3000_TCP`, 'tcp://10.0.0.11:3000'],
      [`${prefix}_PORT_3000_TCP_PROTO`, 'tcp'],
      [`${prefix}_PORT_3000_TCP_PORT`, '3000'],
      [`${prefix}_PORT_3000_TCP_ADDR`, '10.0.0.11'],
    ]);
    const service = await start({ environment: Object.fromEntries(injected) });
    expect((await new ApiClient(service.url).call('GET', '/health/ready')).status).toBe(200);
  });

  it('names the process that holds the data directory, and starts once that was killed', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-lock-'));
    const first = await start({ dataDir });
    const second = await spawn({ dataDir });
    expect(await second.exited()).toBe(1);
    expect(second.text).toContain(String(first.pid));
    await first.end('SIGKILL');
    const third = await start({ dataDir });
    expect(await third.end('SIGTERM')).toBe(0);
    await rm(dataDir, { recursive: true });
  });

  it('says which port is taken', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as { port: number };
    const { code, text } = await refusal({ PORT: String(port) });
    holder.close();
    expect(code).toBe(1);
    expect(text).toContain(`cannot listen on 127.0.0.1 port ${port}`);
  });

  it('stops cleanly when the signal comes while it waits for its database', async () => {
    const service = await spawn({
      environment: {
        MONGODB_URI: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200',
        CROWSNEST_SEALING_KEY: randomBytes(32).toString('base64'),
      },
    });
    await service.waitForLine((line) => line.message === 'the database cannot be reached', 20_000);
    expect(await service.end('SIGTERM')).toBe(0);
  });

  it('stops cleanly when the signal comes while the application is made', async () => {
    const service = await spawn({ environment: { LOG_LEVEL: 'debug' } });
    await service.waitForLine((line) => line['context'] === 'NestFactory', 20_000);
    expect(service.text).not.toContain('"ready"');
    expect(await service.end('SIGTERM')).toBe(0);
  });

  it.each(['text/html', '*/*'])('sends a caller that accepts %s on its way', async (accept) => {
    const service = await start();
    const { status, headers, body } = await new ApiClient(service.url).call('GET', '/', { headers: { accept } });
    if (accept === 'text/html') expect([status, headers.get('location')]).toEqual([302, '/docs']);
    else expect(body).toMatchObject({ links: { documentation: '/docs' } });
  });

  it('serves Swagger UI with assets of its own', async () => {
    const service = await start();
    const api = new ApiClient(service.url);
    const page = await api.call<string>('GET', '/docs', { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
    const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.filter((source) => /^(https?:)?\/\//.test(source))).toEqual([]);
  });
});
