import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, connect } from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HttpAdapterHost } from '@nestjs/core';
import express from 'express';
import { CertificateAuthority, type Credential } from '../../test/control-plane/certificate-authority.js';
import { configDefaults } from '../../test/support/config-defaults.js';
import { SystemClock } from '../runtime/clock.js';
import { httpConfig } from './http.config.js';
import { HttpServer } from './http-server.js';
import { RequestMounts } from './request-mounts.js';
import { pemCertificate, pemPrivateKey, tlsProblems } from './tls.js';

describe('TLS', () => {
  let directory: string;
  let authority: CertificateAuthority;
  let ours: Credential;
  let others: Credential;
  let server: HttpServer | undefined;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'crowsnest-tls-'));
    authority = new CertificateAuthority(directory);
    const issue = (): Credential =>
      authority.issue({ commonName: 'crowsnest', usage: 'serverAuth', alternativeNames: ['IP:127.0.0.1'] });
    [ours, others] = [issue(), issue()];
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  afterEach(() => server?.stop(AbortSignal.abort()));

  const open = async ({ certificate, key }: Credential): Promise<string> => {
    const app = express();
    app.get('/', (asked, response) => void response.json({ http: asked.httpVersion, secure: asked.secure }));
    const host = { httpAdapter: { getInstance: () => app } } as unknown as HttpAdapterHost;
    const config = configDefaults(httpConfig, { port: 0, tlsCert: certificate, tlsKey: key });
    server = new HttpServer(host, new RequestMounts(), new SystemClock(), config);
    await server.start();
    return server.url;
  };
  const overHttp1 = (url: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request(url, { ca: authority.certificate, agent: false }, (answer) => {
        let text = '';
        answer.on('data', (chunk) => (text += String(chunk))).once('end', () => resolve(text));
      });
      sent.once('error', reject).end();
    });

  it('lets the client choose HTTP/2 or HTTP/1.1 in the handshake', async () => {
    const url = await open(ours);
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await overHttp1(url)).toBe('{"http":"1.1","secure":true}');
    const session = connect(url, { ca: authority.certificate });
    const stream = session.request({ ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status'?: number }];
    expect(headers[':status']).toBe(200);
    expect(String((await once(stream, 'data'))[0])).toBe('{"http":"2.0","secure":true}');
    session.destroy();
  });

  it('answers nothing without TLS', async () => {
    const url = await open(ours);
    await expect(fetch(url.replace('https', 'http'))).rejects.toThrow();
  });

  it('does not start with a key of another certificate', async () => {
    await expect(open({ certificate: ours.certificate, key: others.key })).rejects.toThrow('CROWSNEST_TLS_KEY');
  });

  it('names what is missing or wrong', () => {
    expect(tlsProblems({})).toEqual([]);
    expect(tlsProblems({ tlsCert: ours.certificate, tlsKey: ours.key })).toEqual([]);
    expect(tlsProblems({ tlsCert: ours.certificate })).toEqual([expect.stringContaining('CROWSNEST_TLS_KEY is not')]);
    expect(tlsProblems({ tlsKey: ours.key })).toEqual([expect.stringContaining('CROWSNEST_TLS_CERT is not')]);
    expect(() => pemCertificate().parse(ours.key)).toThrow();
    expect(() => pemPrivateKey().parse(ours.certificate)).toThrow();
  });
});
