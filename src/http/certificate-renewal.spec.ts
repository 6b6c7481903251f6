import '../../test/support/quiet-logger.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { Logger } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { SchedulerRegistry } from '@nestjs/schedule';
import express from 'express';
import { Registry } from 'prom-client';
import { CertificateAuthority, type Credential } from '../../test/control-plane/certificate-authority.js';
import { configDefaults } from '../../test/support/config-defaults.js';
import { FakeClock } from '../../test/support/fake-clock.js';
import { PeriodicTasks } from '../lifecycle/index.js';
import { SystemClock } from '../runtime/clock.js';
import { CertificateRenewal } from './certificate-renewal.js';
import { httpConfig } from './http.config.js';
import { HttpServer } from './http-server.js';
import { RequestMounts } from './request-mounts.js';

const PERIOD_MS = 60_000;

describe('a renewed certificate', () => {
  let directory: string;
  let authority: CertificateAuthority;
  let clock: FakeClock;
  let server: HttpServer;
  let renewal: CertificateRenewal;
  let registry: Registry;
  let sessions: ClientHttp2Session[];
  const errors: unknown[] = [];
  const mount = (): string => join(directory, 'mount');

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'crowsnest-renewal-'));
    authority = new CertificateAuthority(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const issue = (): Credential =>
    authority.issue({ commonName: 'crowsnest', usage: 'serverAuth', alternativeNames: ['IP:127.0.0.1'] });
  /** As the kubelet does: a folder of its own for each version, and a link that is replaced. */
  const bring = (certificate: string, key: string): void => {
    const version = mkdtempSync(join(directory, 'version-'));
    writeFileSync(join(version, 'tls.crt'), `${certificate}\n`);
    writeFileSync(join(version, 'tls.key'), key);
    symlinkSync(version, join(directory, 'next'));
    renameSync(join(directory, 'next'), join(mount(), '..data'));
  };

  beforeEach(async () => {
    mkdirSync(mount());
    const first = issue();
    bring(first.certificate, first.key);
    const file = (name: string): string => join(mount(), '..data', name);
    const config = configDefaults(httpConfig, {
      port: 0,
      tlsCert: first.certificate.trimEnd(),
      tlsKey: first.key.trimEnd(),
      tlsCertFile: file('tls.crt'),
      tlsKeyFile: file('tls.key'),
    });
    const app = express();
    app.get('/', (_request, response) => void response.json({}));
    const host = { httpAdapter: { getInstance: () => app } } as unknown as HttpAdapterHost;
    server = new HttpServer(host, new RequestMounts(), new SystemClock(), config);
    clock = new FakeClock();
    registry = new Registry();
    renewal = new CertificateRenewal(server, new PeriodicTasks(new SchedulerRegistry(), clock), registry, config);
    sessions = [];
    errors.length = 0;
    jest.spyOn(Logger.prototype, 'error').mockImplementation((line: unknown) => void errors.push(line));
    await server.start();
    await renewal.start();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const session of sessions) session.destroy();
    await renewal.stop();
    await server.stop(AbortSignal.abort());
    rmSync(mount(), { recursive: true });
  });

  const dial = async (): Promise<ClientHttp2Session> => {
    const session = connect(server.url, { ca: authority.certificate });
    sessions.push(session);
    await once(session, 'connect');
    return session;
  };
  const serialOf = (session: ClientHttp2Session): string =>
    (session.socket as TLSSocket).getPeerX509Certificate()?.serialNumber ?? '';
  const serialOfPem = (pem: string): string => new X509Certificate(pem).serialNumber;
  const statusOver = async (session: ClientHttp2Session): Promise<unknown> => {
    const [headers] = (await once(session.request({ ':path': '/' }), 'response')) as [Record<string, unknown>];
    return headers[':status'];
  };
  /** Files are read over the file system's own time, after which the next look is planned. */
  const look = async (): Promise<void> => {
    await clock.advance(PERIOD_MS);
    while (clock.pendingTimers === 0) await new Promise(setImmediate);
  };
  const expiry = async (): Promise<number | undefined> => {
    const metric = registry.getSingleMetric('crowsnest_tls_certificate_expiry_timestamp_seconds');
    return (await metric?.get())?.values[0]?.value;
  };

  it('is given to new connections, and open ones live on', async () => {
    const open = await dial();
    const renewed = issue();
    bring(renewed.certificate, renewed.key);
    await look();
    expect(serialOf(await dial())).toBe(serialOfPem(renewed.certificate));
    expect(serialOf(open)).not.toBe(serialOfPem(renewed.certificate));
    expect(await statusOver(open)).toBe(200);
    expect(await expiry()).toBe(new X509Certificate(renewed.certificate).validToDate.getTime() / 1_000);
    expect(errors).toEqual([]);
  });

  it('is refused, once, if it and its key do not match, and taken when they do', async () => {
    const before = serialOf(await dial());
    const [renewed, other] = [issue(), issue()];
    bring(renewed.certificate, other.key);
    await look();
    await look();
    expect(serialOf(await dial())).toBe(before);
    expect(errors).toMatchObject([{ reason: expect.stringContaining('TLS_KEY'), keyFile: expect.any(String) }]);
    bring(renewed.certificate, renewed.key);
    await look();
    expect(serialOf(await dial())).toBe(serialOfPem(renewed.certificate));
    expect(errors).toHaveLength(1);
  });

  it.each([
    ['is no certificate', (): void => bring('none', issue().key), 'tls.crt holds no certificate'],
    ['comes without a key', (): void => bring(issue().certificate, ''), 'tls.key holds no private key'],
    ['is gone', (): void => rmSync(join(mount(), '..data')), 'ENOENT'],
  ])('is refused if it %s, and the one before served on', async (_what, spoil, reason) => {
    const before = serialOf(await dial());
    spoil();
    await look();
    expect(errors).toMatchObject([{ reason: expect.stringContaining(reason) }]);
    expect(JSON.stringify(errors)).not.toContain('PRIVATE KEY-----');
    expect(serialOf(await dial())).toBe(before);
  });
});
