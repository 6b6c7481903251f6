import { type ConfigOf, defineConfig, optionalSetting, setting } from '../config/define-config.js';
import { integer, list, text } from '../config/setting-types.js';
import { pemCertificate, pemPrivateKey } from './tls.js';

const origin = text('an origin like https://dash.example.com', /^https?:\/\/[^/\s]+$/);

export const httpConfig = defineConfig('server', {
  port: setting('PORT', integer(0, 65_535), { default: '3000', description: 'Port of the API; 0 takes a free one.' }),
  host: setting('HOST', text('an IP address or localhost', /^\S+$/), {
    default: '127.0.0.1',
    description: 'Address to listen on. Anything but loopback needs CROWSNEST_API_KEYS.',
  }),
  allowedHosts: setting('CROWSNEST_ALLOWED_HOSTS', list(text('a host name', /^[a-z0-9.-]+$/i)), {
    default: '',
    description: 'Names under which browsers and proxies reach the service, besides addresses and cluster-local names.',
    example: 'crowsnest.example.com',
  }),
  corsOrigins: setting('CROWSNEST_CORS_ORIGINS', list(origin), {
    default: 'http://localhost:5173',
    description: 'Other origins whose pages may use the API; the default lets a dashboard under development in.',
  }),
  tlsCert: optionalSetting('CROWSNEST_TLS_CERT', pemCertificate(), {
    description: 'With it and its key the service speaks TLS, HTTP/2 and HTTP/1.1.',
    secret: true,
  }),
  tlsKey: optionalSetting('CROWSNEST_TLS_KEY', pemPrivateKey(), {
    description: 'Private key of the certificate.',
    secret: true,
  }),
  // The two names that stand for the contents above, kept as names: what is there may be renewed.
  tlsCertFile: optionalSetting('CROWSNEST_TLS_CERT_FILE', text('a path'), {
    description: 'File of the certificate, looked at every minute: a renewed one is served without a restart.',
    example: '/etc/crowsnest/tls/tls.crt',
  }),
  tlsKeyFile: optionalSetting('CROWSNEST_TLS_KEY_FILE', text('a path'), {
    description: 'File of its key, looked at together with it.',
    example: '/etc/crowsnest/tls/tls.key',
  }),
  maxConnections: setting('CROWSNEST_MAX_CONNECTIONS', integer(1, 1_000_000), {
    default: '10000',
    description: 'Connections in all; one more is closed at once.',
  }),
  connectionsPerAddress: setting('CROWSNEST_CONNECTIONS_PER_ADDRESS', integer(1, 1_000_000), {
    default: '50',
    description: 'Connections from one address; loopback is not counted. Raise it behind a proxy.',
  }),
});

export type HttpConfig = ConfigOf<typeof httpConfig>;
