import { describe, expect, it } from '@jest/globals';
import express from 'express';
import request from 'supertest';
import { siteGuard } from './site-guard.js';

function app(loopbackOnly: boolean) {
  const server = express();
  server.use(siteGuard({ loopbackOnly, allowedHosts: ['crows.example.com'], corsOrigins: ['http://localhost:5173'] }));
  server.use((_request, response) => void response.json({}));
  // The last handler of Express takes four parameters.
  server.use((error: { status: number }, _request: unknown, response: express.Response, _next: unknown) => {
    response.status(error.status).end();
  });
  return server;
}

async function status(
  loopbackOnly: boolean,
  headers: Record<string, string>,
  method: 'get' | 'post' = 'get',
  path = '/',
) {
  const response = await request(app(loopbackOnly))[method](path).set(headers);
  return response.status;
}

describe('siteGuard', () => {
  it.each(['127.0.0.1:3000', 'localhost', '[::1]:3000', 'LOCALHOST:1', 'crows.example.com'])(
    'takes %s as a host of a loopback service',
    async (Host) => expect(await status(true, { Host })).toBe(200),
  );

  it.each(['evil.example.com', '10.0.0.1', 'crowsnest', 'localhost.evil.example', '127.0.0.1.nip.io', 'a b', ''])(
    'refuses %s as a host of a loopback service',
    async (Host) => expect(await status(true, { Host })).toBe(421),
  );

  it.each(['10.1.2.3:3000', '[fd00::1]', 'crowsnest', 'crowsnest.ops.svc', 'crowsnest.ops.svc.cluster.local'])(
    'takes %s where keys are needed',
    async (Host) => expect(await status(false, { Host })).toBe(200),
  );

  it('refuses a public name that is not listed, keys or not', async () => {
    expect(await status(false, { Host: 'evil.example.com' })).toBe(421);
  });

  it.each([
    ['another origin', { Origin: 'http://evil.example' }, 403],
    ['another port of the same host', { Origin: 'http://localhost:9999' }, 403],
    ['a listed origin', { Origin: 'http://localhost:5173' }, 200],
    ['its own origin', { Origin: 'http://localhost:3000' }, 200],
    ['an opaque origin', { Origin: 'null' }, 403],
    ['no browser', {}, 200],
    ['a cross-site fetch without origin', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['its own page', { 'Sec-Fetch-Site': 'same-origin' }, 200],
  ])('answers a mutation of %s', async (_who, headers: Record<string, string>, expected) => {
    expect(await status(true, { Host: 'localhost:3000', ...headers }, 'post')).toBe(expected);
  });

  it('guards streams like mutations, and lets a page of another site read nothing else but public links', async () => {
    const foreign = { Host: 'localhost:3000', Origin: 'http://evil.example' };
    for (const path of ['/api/v1/streams/workflows/1', '/api/v1/streams?key=clusters', '/API/v1/Streams/clusters']) {
      expect([path, await status(true, foreign, 'get', path)]).toEqual([path, 403]);
    }
    expect(await status(true, foreign, 'get', '/api/v1/streamsandmore')).toBe(200);
    expect(await status(true, foreign, 'get', '/')).toBe(200);
  });
});
