import { create } from '@bufbuild/protobuf';
import type { DescService } from '@bufbuild/protobuf';
import type { Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import type { HttpAdapterHost } from '@nestjs/core';
import express from 'express';
import { type ApiKey, digestOf } from '../../src/auth/api-key.js';
import { authConfig } from '../../src/auth/auth.config.js';
import { BearerAuthentication } from '../../src/auth/bearer-authentication.js';
import { Credentials } from '../../src/auth/credential-authority.js';
import { FailedLogins } from '../../src/auth/failed-logins.js';
import type { DatabaseConnection } from '../../src/database/index.js';
import { gatewayConfig, type GatewayConfig } from '../../src/gateway/gateway.config.js';
import {
  UndecodedGetRunResponseSchema,
  UndecodedListRunsResponseSchema,
} from '../../src/gateway/gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import { AnalyticsService } from '../../src/gateway/gen/flowwatch/v1/analytics_service_pb.js';
import { RunService } from '../../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { SearchService } from '../../src/gateway/gen/flowwatch/v1/search_service_pb.js';
import { StreamService } from '../../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { WorkflowService } from '../../src/gateway/gen/flowwatch/v1/workflow_service_pb.js';
import { OutgoingMessages } from '../../src/gateway/client/outgoing-messages.js';
import type { SubsystemMessage } from '../../src/gateway/gen/flowwatch/v1/gateway_service_pb.js';
import type { RegistrationInput } from '../../src/gateway/registry/registration-wire.js';
import type { Answer, Feed, SubsystemFailure } from '../../src/gateway/routing/answer.js';
import type { Caller } from '../../src/gateway/routing/caller.js';
import type { EndedRpc } from '../../src/gateway/rpc/rpc-call.js';
import type { RpcAnswers } from '../../src/gateway/rpc/rpc-answers.js';
import { RpcServer } from '../../src/gateway/rpc/rpc-server.js';
import { type HttpConfig, httpConfig } from '../../src/http/http.config.js';
import { HttpServer } from '../../src/http/http-server.js';
import { RequestMounts } from '../../src/http/request-mounts.js';
import { Readiness } from '../../src/lifecycle/readiness.js';
import { realtimeConfig } from '../../src/realtime/realtime.config.js';
import { SystemClock } from '../../src/runtime/clock.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { configDefaults } from './config-defaults.js';

export const INSTALLATION = 'aa00bb11cc22';

/** What answers a call in place of the engine: given the method's local name, says value or error. */
export type Answering = (method: string, caller: Caller, request: never) => unknown;

export interface RpcRoomOptions {
  readonly keys?: Readonly<Record<string, ApiKey['role']>>;
  readonly gateway?: Partial<GatewayConfig>;
  readonly http?: Partial<HttpConfig>;
  readonly streamsPerPrincipal?: number;
}

/** The port with FlowWatch's services on it, and scripted answers behind them. */
export class RpcRoom {
  readonly readiness = new Readiness();
  readonly ended: EndedRpc[] = [];
  readonly callers: Array<{ readonly method: string; readonly caller: Caller; readonly request: unknown }> = [];
  failures: SubsystemFailure[] = [];
  answering: Answering = () => ({});
  register: RpcAnswers['registration']['register'] = async function* () {};
  openRegistration: RpcAnswers['registration']['open'] = (...given) =>
    scriptedRegistration((...asked) => this.register(...asked), ...given);

  private constructor(
    private readonly http: HttpServer,
    readonly rpc: RpcServer,
  ) {}

  static async open(options: RpcRoomOptions = {}): Promise<RpcRoom> {
    const clock = new SystemClock();
    const mounts = new RequestMounts();
    const app = express();
    app.use((_request, response) => void response.status(404).end());
    const host = { httpAdapter: { getInstance: () => app } } as unknown as HttpAdapterHost;
    const httpSettings = configDefaults(httpConfig, { port: 0, ...options.http });
    const apiKeys =
      options.keys &&
      Object.entries(options.keys).map(([secret, role]) => ({
        name: secret,
        role,
        tenantId: 'team-a',
        digest: digestOf(secret),
      }));
    const auth = configDefaults(authConfig, { apiKeys });
    const bearers = new BearerAuthentication(new Credentials(), new FailedLogins(10, clock), auth);
    const http = new HttpServer(host, mounts, clock, httpSettings);
    const answers: { room?: RpcRoom } = {};
    const room = (): RpcRoom => {
      if (!answers.room) throw new Error('the room is not open');
      return answers.room;
    };
    const readiness = new Readiness();
    const rpc = new RpcServer(
      mounts,
      bearers,
      readiness,
      { installation: { installationId: INSTALLATION } } as DatabaseConnection,
      scriptedAnswers(room),
      [{ ended: (rpc) => void room().ended.push(rpc) }],
      clock,
      new CryptoRandom(),
      httpSettings,
      auth,
      configDefaults(realtimeConfig, { streamsPerPrincipal: options.streamsPerPrincipal ?? 100 }),
      configDefaults(gatewayConfig, options.gateway),
    );
    const opened = new RpcRoom(http, rpc);
    Object.assign(opened, { readiness });
    answers.room = opened;
    await http.start();
    await rpc.start();
    readiness.markReady();
    return opened;
  }

  get url(): string {
    return this.http.url;
  }

  async close(): Promise<void> {
    await this.rpc.stop(AbortSignal.abort());
    await this.http.stop(AbortSignal.abort());
  }

  /** Resolves when so many calls are over. */
  async untilEnded(count: number): Promise<void> {
    while (this.ended.length < count) await new Promise(setImmediate);
  }
}

export type WireName = 'connect-json' | 'connect' | 'grpc' | 'grpc-web';

/** Every way in which a client of FlowWatch may come. */
export const WIRES: ReadonlyArray<readonly [WireName, '1.1' | '2']> = [
  ['connect-json', '1.1'],
  ['connect-json', '2'],
  ['connect', '1.1'],
  ['connect', '2'],
  ['grpc', '2'],
  ['grpc-web', '1.1'],
  ['grpc-web', '2'],
];

export function transportOf(wire: WireName, httpVersion: '1.1' | '2', baseUrl: string): Transport {
  const options = { baseUrl, httpVersion };
  if (wire === 'grpc') return createGrpcTransport({ baseUrl, httpVersion: '2' } as never);
  if (wire === 'grpc-web') return createGrpcWebTransport(options);
  return createConnectTransport({ ...options, useBinaryFormat: wire === 'connect' });
}

/** Answers given as an iterable, for the wire that is told by calls. */
function scriptedRegistration(
  register: RpcAnswers['registration']['register'],
  ...[peerAddress, authorization, wire]: Parameters<RpcAnswers['registration']['open']>
): RegistrationInput {
  const messages = new OutgoingMessages<SubsystemMessage>();
  const gone = new AbortController();
  let isOver = false;
  const end = (error?: unknown): void => {
    if (!isOver) wire.end(error);
    isOver = true;
  };
  const headers = new Headers(authorization === undefined ? {} : { authorization });
  const run = async (): Promise<void> => {
    for await (const message of register(messages, { signal: gone.signal, peerAddress, headers })) wire.send(message);
  };
  void run().then(() => end(), end);
  return {
    take: (message) => messages.push(message),
    inputEnded: () => messages.close(),
    fail: end,
    gone: () => {
      gone.abort();
      end();
    },
  };
}

function scriptedAnswers(room: () => RpcRoom): RpcAnswers {
  const ask = (method: string, caller: Caller, request: unknown): unknown => {
    room().callers.push({ method, caller, request });
    return room().answering(method, caller, request as never);
  };
  const answersOf = (service: DescService): Record<string, unknown> =>
    Object.fromEntries(
      service.methods.map((method) => [
        method.localName,
        method.methodKind === 'unary'
          ? async (caller: Caller, request: unknown): Promise<Answer<unknown>> => ({
              value: create(method.output, (await ask(method.localName, caller, request)) as never),
              failures: room().failures,
              notes: [],
            })
          : (caller: Caller, request: unknown): Feed<unknown> => {
              const messages = ask(method.localName, caller, request) as AsyncIterable<never>;
              return {
                failures: room().failures,
                polled: ['old one'],
                async *[Symbol.asyncIterator]() {
                  for await (const message of messages) yield create(method.output, message);
                },
              };
            },
      ]),
    );
  const undecoded = {
    listRunsUndecoded: async (caller: Caller, request: unknown) => ({
      value: create(UndecodedListRunsResponseSchema, (await ask('listRunsUndecoded', caller, request)) as never),
      failures: room().failures,
      notes: ['unstable'],
    }),
    getRunUndecoded: async (caller: Caller, request: unknown) => ({
      value: create(UndecodedGetRunResponseSchema, (await ask('getRunUndecoded', caller, request)) as never),
      failures: [],
      notes: [],
    }),
  };
  return {
    runs: { ...answersOf(RunService), ...undecoded },
    workflows: answersOf(WorkflowService),
    analytics: answersOf(AnalyticsService),
    search: answersOf(SearchService),
    live: answersOf(StreamService),
    registration: {
      open: (...call: Parameters<RpcAnswers['registration']['open']>) => room().openRegistration(...call),
      register: (...call: Parameters<RpcAnswers['registration']['register']>) => room().register(...call),
    },
  } as unknown as RpcAnswers;
}
