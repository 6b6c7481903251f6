import { once } from 'node:events';
import { type IncomingHttpHeaders, connect } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { INSTALLATION, RpcRoom, type RpcRoomOptions, transportOf } from '../../../test/support/rpc-room.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../gen/grpc/health/v1/health_pb.js';
import { ServerReflection } from '../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionAlpha } from '../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { accessOf, nameOf } from './rpc-access.js';
import { ALL_SERVICES } from './rpc-handlers.js';

const VIEWER = 'viewer-secret-of-24-chars';
const OPERATOR = 'operator-secret-of-24-chars';
const KEYS = { [VIEWER]: 'viewer', [OPERATOR]: 'operator' } as const;
const NONE = { case: undefined };
const LISTED = 'http://localhost:5173';

let room: RpcRoom;
const open = async (options: RpcRoomOptions = {}): Promise<void> => {
  room = await RpcRoom.open({ keys: KEYS, ...options });
};
afterEach(() => room.close());

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    return Code[ConnectError.from(error).code] ?? '';
  }
}
const runs = (): ReturnType<typeof createClient<typeof RunService>> =>
  createClient(RunService, transportOf('connect', '1.1', room.url));
const bearer = (secret: string): { headers: Record<string, string> } => ({
  headers: { Authorization: `Bearer ${secret}` },
});

describe('access to RPCs', () => {
  it('is declared for every RPC, and changes need an operator', async () => {
    await open();
    const methods = ALL_SERVICES.flatMap((service): ReadonlyArray<(typeof service.methods)[number]> => service.methods);
    expect(methods.filter((method) => accessOf(method) === undefined).map(nameOf)).toEqual([]);
    const changes = methods.filter((method) => accessOf(method) === 'operator').map(({ name }) => name);
    expect(changes.toSorted()).toEqual(
      'BulkCancel BulkRetry CancelRun PauseRun Reindex ResumeRun RetryFromStep RetryRun SkipStep'.split(' '),
    );
  });

  it('needs a key, and the role', async () => {
    await open();
    expect(await codeOf(runs().getRun({}))).toBe('Unauthenticated');
    expect(await codeOf(runs().getRun({}, bearer('wrong')))).toBe('Unauthenticated');
    expect(await codeOf(runs().getRun({}, bearer(VIEWER)))).toBe('ok');
    expect(await codeOf(runs().cancelRun({}, bearer(VIEWER)))).toBe('PermissionDenied');
    expect(await codeOf(runs().cancelRun({}, bearer(OPERATOR)))).toBe('ok');
    expect(room.callers.map(({ method, caller }) => [method, caller.principal.id, caller.principal.tenantId])).toEqual([
      ['getRunUndecoded', VIEWER, 'team-a'],
      ['cancelRun', OPERATOR, 'team-a'],
    ]);
    await room.untilEnded(5);
    expect(room.ended.find(({ code }) => code === 'permission_denied')).toMatchObject({
      method: 'CancelRun',
      principal: { id: VIEWER },
      request: { runId: '' },
    });
  });

  it('refuses without a key before it reads the message', async () => {
    await open();
    const answer = await fetch(`${room.url}/flowwatch.v1.RunService/GetRun`, {
      method: 'POST',
      body: '{"runId":',
      headers: { 'Content-Type': 'application/json' },
    });
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'unauthenticated' }]);
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
  });

  it('needs no key where the service serves this machine only', async () => {
    await open({ keys: undefined } as never);
    expect(await codeOf(runs().cancelRun({}))).toBe('ok');
    expect(room.callers[0]?.caller.principal).toMatchObject({ id: 'local', role: 'admin' });
  });

  it.each([
    ['viewer', 'ok', 'PermissionDenied'],
    ['operator', 'ok', 'ok'],
    ['none', 'Unauthenticated', 'Unauthenticated'],
  ] as const)('lets callers without a key in as %s', async (anonymousRole, read, change) => {
    await open({ gateway: { anonymousRole } });
    expect(await codeOf(runs().getRun({}))).toBe(read);
    expect(await codeOf(runs().cancelRun({}))).toBe(change);
    expect(await codeOf(runs().getRun({}, { headers: { Origin: LISTED } }))).toBe(read);
    expect(await codeOf(runs().getRun({}, { headers: { Origin: 'http://evil.example' } }))).toBe('PermissionDenied');
    expect(await codeOf(runs().getRun({}, bearer('wrong')))).toBe('Unauthenticated');
    for (const { caller } of room.callers) {
      expect(caller.principal).toEqual({ kind: 'user', id: 'anonymous', role: anonymousRole, tenantId: 'default' });
    }
  });

  it.each(['evil.example.com', '10.0.0.1'])(
    'refuses the host %s of a loopback service, over HTTP/2 too',
    async (host) => {
      await open({ keys: undefined } as never);
      const session = connect(room.url);
      const stream = session.request({
        ':method': 'POST',
        ':path': '/flowwatch.v1.RunService/GetRun',
        ':authority': host,
        'content-type': 'application/json',
      });
      stream.end('{}');
      const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status'?: number }];
      expect(headers[':status']).toBe(403);
      session.destroy();
    },
  );

  it('refuses what has come through this gateway before', async () => {
    await open();
    const through = (path: string) => ({
      headers: { ...bearer(VIEWER).headers, 'crowsnest-gateway-path': path },
    });
    expect(await codeOf(runs().getRun({}, through(`other, ${INSTALLATION}`)))).toBe('FailedPrecondition');
    expect(await codeOf(runs().getRun({}, through('other')))).toBe('ok');
    expect(room.callers[0]?.caller.gatewayPath).toBe('other');
  });

  it('bounds the streams of one principal', async () => {
    await open({ streamsPerPrincipal: 2 });
    room.answering = async function* (_method: string, { signal }: { signal: AbortSignal }) {
      yield {};
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    } as never;
    const live = createClient(StreamService, transportOf('connect', '2', room.url));
    const stop = new AbortController();
    const watch = async (secret: string, signal?: AbortSignal): Promise<unknown> =>
      live
        .watchRuns({}, { ...bearer(secret), ...(signal ? { signal } : {}) })
        [Symbol.asyncIterator]()
        .next();
    await watch(VIEWER, stop.signal);
    await watch(VIEWER);
    expect(await codeOf(watch(VIEWER))).toBe('ResourceExhausted');
    expect(await codeOf(watch(OPERATOR))).toBe('ok');
    stop.abort();
    await room.untilEnded(2);
    expect(await codeOf(watch(VIEWER))).toBe('ok');
  });
});

describe('the health service', () => {
  const health = () => createClient(Health, transportOf('grpc', '2', room.url));

  it('tells without a key how the whole and each service are', async () => {
    await open();
    expect((await health().check({})).status).toBe(Status.SERVING);
    expect((await health().check({ service: RunService.typeName })).status).toBe(Status.SERVING);
    expect(await codeOf(health().check({ service: 'nothing' }))).toBe('NotFound');
    room.readiness.markDraining();
    expect((await health().check({})).status).toBe(Status.NOT_SERVING);
  });

  it('tells changes, and of what it does not know that', async () => {
    await open();
    const watch = health().watch({})[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: Status.SERVING });
    const unknown = health().watch({ service: 'nothing' })[Symbol.asyncIterator]();
    expect((await unknown.next()).value).toMatchObject({ status: Status.SERVICE_UNKNOWN });
    room.readiness.markDraining();
    expect((await watch.next()).value).toMatchObject({ status: Status.NOT_SERVING });
    const stopped = room.rpc.stop(new AbortController().signal);
    expect(await codeOf(watch.next() as Promise<unknown>)).toBe('Unavailable');
    await stopped;
  });
});

describe.each([
  ['v1', ServerReflection],
  ['v1alpha', ServerReflectionAlpha as unknown as typeof ServerReflection],
])('reflection %s', (_version, service) => {
  const ask = async (...requests: ReadonlyArray<{ case: string; value: unknown }>) => {
    const client = createClient(service, transportOf('grpc', '2', room.url));
    const answers = client.serverReflectionInfo(
      (async function* () {
        for (const messageRequest of requests) yield { host: 'h', messageRequest } as never;
      })(),
      bearer(VIEWER),
    );
    const all = [];
    for await (const { messageResponse } of answers) all.push(messageResponse);
    return all as Array<{ readonly case: string | undefined; readonly value?: unknown }>;
  };

  it('describes every service, so that a client can be made of it', async () => {
    await open();
    const [list = NONE, bySymbol = NONE, byFile, byMessage, wrong] = await ask(
      { case: 'listServices', value: '' },
      { case: 'fileContainingSymbol', value: 'flowwatch.v1.RunService' },
      { case: 'fileByFilename', value: 'flowwatch/v1/types.proto' },
      { case: 'fileContainingSymbol', value: 'flowwatch.v1.Run.workflow_id' },
      { case: 'fileContainingSymbol', value: 'flowwatch.v1.Nothing' },
    );
    expect(list).toMatchObject({ case: 'listServicesResponse' });
    const names = ((list as { value?: unknown }).value as { service: Array<{ name: string }> }).service.map(
      ({ name }) => name,
    );
    expect(names).toEqual(ALL_SERVICES.map(({ typeName }) => typeName).toSorted());
    const files = ((bySymbol as { value?: unknown }).value as { fileDescriptorProto: Uint8Array[] })
      .fileDescriptorProto;
    const file = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    expect(file[0]?.name).toBe('flowwatch/v1/run_service.proto');
    const registry = createFileRegistry(file[0] as never, (name) => file.find((each) => each.name === name));
    expect(registry.getService('flowwatch.v1.RunService')?.methods).toHaveLength(13);
    expect(byFile).toMatchObject({ case: 'fileDescriptorResponse' });
    expect(byMessage).toEqual(byFile);
    expect(wrong).toMatchObject({ case: 'errorResponse', value: { errorCode: Code.NotFound } });
  });

  it('needs a key', async () => {
    await open();
    const client = createClient(service, transportOf('grpc', '2', room.url));
    const answers = client.serverReflectionInfo((async function* () {})());
    expect(await codeOf(answers[Symbol.asyncIterator]().next() as Promise<unknown>)).toBe('Unauthenticated');
  });
});
