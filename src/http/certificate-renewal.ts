import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Gauge, type Registry } from 'prom-client';
import type { SettingType } from '../config/setting-types.js';
import { PeriodicTasks } from '../lifecycle/index.js';
import { METRICS_REGISTRY } from '../metrics/index.js';
import type { PeriodicTask } from '../runtime/periodic-task.js';
import type { Runnable } from '../runtime/runnable.js';
import { type HttpConfig, httpConfig } from './http.config.js';
import { HttpServer } from './http-server.js';
import { type TlsPair, pemCertificate, pemPrivateKey, tlsPairOf } from './tls.js';

/** The kubelet brings a renewed Secret into a pod about so often. */
const PERIOD_MS = 60_000;

/**
 * Takes a renewed certificate without a restart: new connections get it, open ones live on. The files are read rather
 * than watched, since whoever renews them swaps links, folders or whole file systems.
 */
@Injectable()
export class CertificateRenewal implements Runnable {
  readonly name = 'certificate renewal';
  private readonly log = new Logger(CertificateRenewal.name);
  private readonly task: PeriodicTask | undefined;
  private readonly expiry: Gauge;
  private served: TlsPair | undefined;
  /** What was told of the last look; the same again is no news. */
  private told: string | undefined;

  constructor(
    private readonly server: HttpServer,
    tasks: PeriodicTasks,
    @Inject(METRICS_REGISTRY) registry: Registry,
    @Inject(httpConfig.token) private readonly config: HttpConfig,
  ) {
    this.expiry = new Gauge({
      name: 'crowsnest_tls_certificate_expiry_timestamp_seconds',
      help: 'End of the certificate that is served, in seconds since the epoch; 0 without TLS.',
      registers: [registry],
    });
    this.served = tlsPairOf(config);
    if (this.served) this.tellExpiry(this.served);
    if (!this.served || (config.tlsCertFile === undefined && config.tlsKeyFile === undefined)) return;
    this.task = tasks.create({
      name: this.name,
      periodMs: PERIOD_MS,
      runOnce: () => this.look(),
      onError: (error) => this.refuse(error),
    });
  }

  async start(): Promise<void> {
    await this.task?.start();
  }

  async stop(): Promise<void> {
    await this.task?.stop();
  }

  private async look(): Promise<void> {
    const { tlsCertFile, tlsKeyFile } = this.config;
    const pair = {
      certificate: await textOf(tlsCertFile, this.served?.certificate),
      key: await textOf(tlsKeyFile, this.served?.key),
    };
    if (pair.certificate === this.served?.certificate && pair.key === this.served.key) {
      this.told = undefined;
      return;
    }
    requireReadable(pemCertificate(), pair.certificate, tlsCertFile ?? 'CROWSNEST_TLS_CERT');
    requireReadable(pemPrivateKey(), pair.key, tlsKeyFile ?? 'CROWSNEST_TLS_KEY');
    this.server.renewCertificate(pair);
    this.served = pair;
    this.told = undefined;
    this.tellExpiry(pair);
    const { subject, validTo } = new X509Certificate(pair.certificate);
    this.log.log({ message: 'serving a renewed certificate', subject, validTo });
  }

  /** What is served stays. */
  private refuse(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (reason === this.told) return;
    this.told = reason;
    const { tlsCertFile, tlsKeyFile } = this.config;
    const message = 'the renewed certificate cannot be used; the one before is served on';
    this.log.error({ message, reason, certificateFile: tlsCertFile, keyFile: tlsKeyFile });
  }

  private tellExpiry({ certificate }: TlsPair): void {
    this.expiry.set(new X509Certificate(certificate).validToDate.getTime() / 1_000);
  }
}

function requireReadable(type: SettingType<string>, pem: string, source: string): void {
  try {
    type.parse(pem);
  } catch {
    throw new Error(`${source} holds no ${type.expected.replace(/^a /, '')}`);
  }
}

/** Trimmed as a setting from a file is. */
async function textOf(file: string | undefined, given: string | undefined): Promise<string> {
  return file === undefined ? (given ?? '') : (await readFile(file, 'utf8')).trimEnd();
}
