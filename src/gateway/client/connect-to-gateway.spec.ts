import '../../../test/support/quiet-logger.js';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Code, ConnectError, type Transport, createRouterTransport } from '@connectrpc/connect';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { FakeEndpoints, type RegistryRoom, makeRegistryRoom } from '../../../test/support/registry-room.js';
import { RpcRoom } from '../../../test/support/rpc-room.js';
import { SYSTEM_SCOPE } from '../../auth/index.js';
import type { Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import { GatewayService } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { type GatewayConnectionEvent, connectToGateway } from './connect-to-gateway.js';

const NEVER = new AbortController().signal;
const A = 'http://127.0.0.1:8090';
/** No jitter: the longest delay. */
const steady: Random = { float: () => 0, bytes: () => Buffer.alloc(0), uuid: () => '' };

const running: Runnable[] = [];
const servers: GatewayServer[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop(NEVER);
  for (const each of servers.splice(0)) await each.kill();
});

/** A gateway with its wire, on a port. */
class GatewayServer {
  private isOpen = true;

  private constructor(
    readonly room: RegistryRoom,
    private readonly wire: RpcRoom,
  ) {}

  static async start(room: RegistryRoom, port = 0): Promise<GatewayServer> {
    const wire = await RpcRoom.open({ http: { port } });
    wire.register = (messages, context) => room.registration.register(messages, context);
    wire.openRegistration = (...given) => room.registration.open(...given);
    await room.runnable.start();
    const gateway = new GatewayServer(room, wire);
    servers.push(gateway);
    return gateway;
  }

  get url(): string {
    return this.wire.url;
  }

  /** As a process that dies: no word to anybody. */
  async kill(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.wire.close();
    await this.room.runnable.stop(NEVER);
  }
}

const connect = (
  clock: FakeClock,
  more: Partial<Parameters<typeof connectToGateway>[0]>,
): { events: GatewayConnectionEvent[]; runnable: Runnable } => {
  const events: GatewayConnectionEvent[] = [];
  const options = { id: 'billing', gatewayAddress: 'http://127.0.0.1:1', localEndpoint: A, clock, random: steady };
  const runnable = connectToGateway({ ...options, onEvent: (event) => void events.push(event), ...more });
  running.push(runnable);
  return { events, runnable };
};
const until = async (isTrue: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 20_000 && !isTrue(); turn += 1) await settle(1);
  expect(isTrue()).toBe(true);
};
/** A gateway that answers each stream as it is told. */
const scripted = (answer: () => never): Transport =>
  createRouterTransport(({ service }) =>
    service(GatewayService, {
      // eslint-disable-next-line require-yield
      async *register() {
        await Promise.resolve();
        answer();
      },
    }),
  );
const delaysOf = (events: readonly GatewayConnectionEvent[]): number[] =>
  events.flatMap((event) => ('retryInMs' in event ? [event.retryInMs] : []));

describe('a subsystem that keeps itself registered', () => {
  it('is registered with what it says of itself, and answers pings', async () => {
    const room = makeRegistryRoom({ config: { apiKey: 'key-for-any-subsystem' } });
    room.endpoints.listen(A);
    await room.runnable.start();
    const said = { name: 'Billing', description: 'invoices', metadata: { team: 'a' }, key: 'key-for-any-subsystem' };
    const { events, runnable } = connect(room.clock, { ...said, transport: room.transport });
    await runnable.start(NEVER);
    await settle(20);
    expect(events).toEqual([{ kind: 'registered', heartbeatMs: 10_000 }]);
    for (let n = 0; n < 20; n += 1) {
      await room.clock.advance(10_000);
      await settle(20);
    }
    const { name, description, metadata } = said;
    expect(room.service.get(SYSTEM_SCOPE, 'billing')).toMatchObject({
      state: 'connected',
      name,
      description,
      metadata,
    });
    expect(events).toHaveLength(1);
    await runnable.stop(NEVER);
    await settle(20);
    expect(room.registration.streams).toBe(0);
    await room.runnable.stop(NEVER);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('comes back after 1 s, then 2, up to 30 s, and after a success from 1 s again', async () => {
    const clock = new FakeClock();
    const room = makeRegistryRoom({ clock, endpoints: new FakeEndpoints(clock) });
    let transport = scripted(() => {
      throw new ConnectError('away', Code.Unavailable);
    });
    const switching: Transport = {
      unary: () => Promise.reject(new Error('no unary call here')),
      stream: (...args) => transport.stream(...args),
    };
    const { events, runnable } = connect(clock, { transport: switching });
    await runnable.start(NEVER);
    for (let n = 0; n < 6; n += 1) {
      await settle(20);
      await clock.advance(clock.nextTimerInMs ?? 0);
    }
    expect(delaysOf(events)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    transport = room.transport;
    await settle(20);
    await clock.advance(30_000);
    await settle(20);
    expect(events.at(-1)?.kind).toBe('registered');
    await room.runnable.stop(NEVER);
    await settle(20);
    expect(events.at(-1)).toEqual({ kind: 'left', reason: 'the gateway is shutting down', retryInMs: 1_000 });
  });

  it.each([Code.Unauthenticated, Code.PermissionDenied, Code.InvalidArgument, Code.FailedPrecondition])(
    'that is refused (%s) says why, and waits for long',
    async (code) => {
      const clock = new FakeClock();
      const transport = scripted(() => {
        throw new ConnectError('because', code);
      });
      const { events, runnable } = connect(clock, { transport });
      await runnable.start(NEVER);
      await settle(20);
      expect(events).toMatchObject([{ kind: 'refused', retryInMs: 30_000, reason: expect.stringMatching(/because/) }]);
    },
  );

  it('that is not accepted says what the gateway told', async () => {
    const room = makeRegistryRoom({ config: { apiKey: 'key-for-any-subsystem' } });
    const { events, runnable } = connect(room.clock, { key: 'wrong', transport: room.transport });
    await runnable.start(NEVER);
    await settle(20);
    expect(events).toEqual([{ kind: 'refused', reason: 'the key is missing or wrong', retryInMs: 30_000 }]);
  });

  it('takes three silent heartbeats of the gateway for its end', async () => {
    const room = makeRegistryRoom({ config: { heartbeatMs: 10_000 } });
    const silent = createRouterTransport(({ service }) =>
      service(GatewayService, {
        async *register(_messages, { signal }) {
          yield {
            msg: { case: 'registered' as const, value: { accepted: true, heartbeatInterval: { seconds: 10n } } },
          };
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        },
      }),
    );
    const { events, runnable } = connect(room.clock, { transport: silent });
    await runnable.start(NEVER);
    await settle(20);
    await room.clock.advance(29_999);
    expect(events).toHaveLength(1);
    await room.clock.advance(1);
    await settle(20);
    expect(events[1]).toMatchObject({ kind: 'lost', reason: 'the gateway was silent for 30000 ms' });
  });
});

describe('a gateway that is restarted', () => {
  const SUBSYSTEMS = 50;

  it('has all its subsystems back, over HTTP/2', async () => {
    const clock = new FakeClock();
    const endpoints = new FakeEndpoints(clock);
    for (let n = 0; n < SUBSYSTEMS; n += 1) endpoints.listen(`http://127.0.0.1:${9_000 + n}`, [`flow-${n}`]);
    const connectedAt = (gateway: GatewayServer): number => gateway.room.figures.registryFigures().states.connected;

    const first = await GatewayServer.start(makeRegistryRoom({ clock, endpoints }));
    const port = Number(new URL(first.url).port);
    for (let n = 0; n < SUBSYSTEMS; n += 1) {
      const { runnable } = connect(clock, {
        id: `subsystem-${n}`,
        gatewayAddress: first.url,
        localEndpoint: `http://127.0.0.1:${9_000 + n}`,
      });
      await runnable.start(NEVER);
    }
    await until(() => connectedAt(first) === SUBSYSTEMS);
    await first.kill();
    const second = await GatewayServer.start(makeRegistryRoom({ clock, endpoints }), port);
    for (let seconds = 0; seconds < 40 && connectedAt(second) < SUBSYSTEMS; seconds += 1) {
      await clock.advance(1_000);
      await settle(50);
    }
    await until(() => connectedAt(second) === SUBSYSTEMS);
    expect(second.room.figures.registryFigures()).toMatchObject({ streams: SUBSYSTEMS, accepted: SUBSYSTEMS });
    expect(second.room.registry.list(SYSTEM_SCOPE)).toHaveLength(SUBSYSTEMS);
  });

  it('takes leave of them when it ends as it should', async () => {
    const clock = new FakeClock();
    const endpoints = new FakeEndpoints(clock);
    endpoints.listen(A);
    const gateway = await GatewayServer.start(makeRegistryRoom({ clock, endpoints }));
    const { events, runnable } = connect(clock, { gatewayAddress: gateway.url });
    await runnable.start(NEVER);
    await until(() => events.length === 1);
    await gateway.room.runnable.stop(NEVER);
    await until(() => events.length === 2);
    expect(events[1]).toMatchObject({ kind: 'left', reason: 'the gateway is shutting down' });
  });
});
