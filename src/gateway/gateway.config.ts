import { type ConfigOf, defineConfig, optionalSetting, setting } from '../config/define-config.js';
import { duration, integer, list, oneOf, text } from '../config/setting-types.js';
import { subsystemKey } from './registry/subsystem-key.js';

export const gatewayConfig = defineConfig('gateway', {
  apiKey: optionalSetting('CROWSNEST_GATEWAY_API_KEY', text('a secret of 16 characters or more', /^\S{16,512}$/), {
    description: 'With it a FlowWatch subsystem registers under any id. Without this and the next, only on loopback.',
    example: 'a-long-random-secret',
    secret: true,
  }),
  subsystemKeys: optionalSetting('CROWSNEST_GATEWAY_SUBSYSTEM_KEYS', list(subsystemKey()), {
    description: 'With one of them a FlowWatch subsystem registers under that id alone.',
    example: 'billing:a-long-random-secret,shipping@team-a:another-long-secret',
    secret: true,
  }),
  anonymousRole: setting('CROWSNEST_GATEWAY_ANONYMOUS_ROLE', oneOf('none', 'viewer', 'operator'), {
    default: 'none',
    description: 'What callers without a key may do over Connect and gRPC, for a FlowWatch UI that sends none.',
  }),
  heartbeatMs: setting('CROWSNEST_GATEWAY_HEARTBEAT', duration({ minMs: 20, maxMs: 3_600_000 }), {
    default: '10s',
    description: 'How often a registered subsystem is pinged; after two missed answers it is stale.',
  }),
  graceMs: setting('CROWSNEST_GATEWAY_GRACE', duration({ maxMs: 86_400_000 }), {
    default: '30s',
    description: 'How long a stale subsystem is kept before it is removed.',
  }),
  registrationStreams: setting('CROWSNEST_GATEWAY_REGISTRATION_STREAMS', integer(1, 100_000), {
    default: '2000',
    description: 'Registration streams at the same time; one more is refused.',
  }),
  streamsPerAddress: setting('CROWSNEST_GATEWAY_STREAMS_PER_ADDRESS', integer(1, 100_000), {
    default: '4',
    description:
      'Registration streams of one address that have not registered yet; those of this machine are not counted.',
  }),
  runCacheSize: setting('CROWSNEST_GATEWAY_RUN_CACHE', integer(1, 10_000_000), {
    default: '100000',
    description: 'Runs of which the gateway remembers the subsystem.',
  }),
  callTimeoutMs: setting('CROWSNEST_GATEWAY_CALL_TIMEOUT', duration({ minMs: 10, maxMs: 600_000 }), {
    default: '10s',
    description: 'How long one call to a subsystem may take.',
  }),
  maxMessageBytes: setting('CROWSNEST_GATEWAY_MAX_MESSAGE', integer(1_024, 1 << 30), {
    default: String(4 << 20),
    description: 'Bytes of one message, from a client as from a subsystem.',
  }),
  pollMs: setting('CROWSNEST_GATEWAY_POLL', duration({ minMs: 20, maxMs: 600_000 }), {
    default: '2s',
    description: 'How often a subsystem that does not stream is asked for changes while somebody watches.',
  }),
});

export type GatewayConfig = ConfigOf<typeof gatewayConfig>;
