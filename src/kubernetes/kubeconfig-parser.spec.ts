import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CertificateAuthority } from '../../test/control-plane/certificate-authority.js';
import { AppError, type FieldError } from '../errors/app-error.js';
import { type KubeconfigOptions, type ParsedKubeconfig, parseKubeconfig } from './kubeconfig-parser.js';

const directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
const canary = 'canary-content-of-a-file';
const canaryFile = join(directory, 'canary');
writeFileSync(canaryFile, canary);
const authority = new CertificateAuthority(directory);
const client = authority.issue({ commonName: 'carol', usage: 'clientAuth' });
const other = authority.issue({ commonName: 'dave', usage: 'clientAuth' });
const base64 = (text: string): string => Buffer.from(text).toString('base64');

afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Parts {
  cluster?: Record<string, unknown>;
  user?: Record<string, unknown>;
  context?: Record<string, unknown>;
  root?: Record<string, unknown>;
}

function config(parts: Parts = {}): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    preferences: { colors: true },
    'current-context': 'prod',
    clusters: [
      {
        name: 'c',
        cluster: {
          server: 'https://10.0.0.1:6443',
          'certificate-authority-data': base64(authority.certificate),
          extensions: [{ name: 'minikube.sigs.k8s.io', extension: { version: 'v1', exec: 'harmless here' } }],
          ...parts.cluster,
        },
      },
    ],
    users: [{ name: 'u', user: { token: 'abc.def', ...parts.user } }],
    contexts: [{ name: 'prod', context: { cluster: 'c', user: 'u', namespace: 'web', ...parts.context } }],
    ...parts.root,
  };
}

const parse = (value: unknown, options?: KubeconfigOptions): ParsedKubeconfig =>
  parseKubeconfig(stringify(value), options);

function refusalOf(work: () => unknown): AppError {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const errorsOf = (value: unknown, options?: KubeconfigOptions): readonly FieldError[] =>
  refusalOf(() => parse(value, options)).errors;
const pathsOf = (value: unknown): string[] => errorsOf(value).map((error) => error.path);

const REFUSED_IN_USER = {
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'touch', args: [canaryFile] },
  'auth-provider': { name: 'gcp', config: { 'cmd-path': 'touch', 'cmd-args': canaryFile } },
  'token-file': canaryFile,
  tokenFile: canaryFile,
  'client-certificate': canaryFile,
  'client-key': canaryFile,
  username: 'admin',
  password: 'hunter2',
  as: 'system:admin',
  'as-uid': '1',
  'as-groups': ['system:masters'],
  'as-user-extra': { a: ['b'] },
};
const REFUSED_IN_CLUSTER = {
  'certificate-authority': canaryFile,
  'insecure-skip-tls-verify': true,
  'proxy-url': 'socks5://10.0.0.5:1080',
};

describe('parseKubeconfig', () => {
  it('takes what kubectl writes', () => {
    expect(parse(config())).toEqual({
      server: 'https://10.0.0.1:6443',
      caData: authority.certificate,
      credential: { type: 'token', token: 'abc.def' },
      namespace: 'web',
      context: 'prod',
    });
    expect(parseKubeconfig(JSON.stringify(config())).context).toBe('prod');
  });

  it('takes a client certificate and a name for TLS', () => {
    const user = {
      token: null,
      'client-certificate-data': base64(client.certificate),
      'client-key-data': base64(client.key),
    };
    const cluster = { 'tls-server-name': 'kubernetes', 'insecure-skip-tls-verify': false };
    expect(parse(config({ user, cluster }))).toMatchObject({
      tlsServerName: 'kubernetes',
      credential: { type: 'client-certificate', certificateData: client.certificate, keyData: client.key },
    });
  });

  it.each(Object.entries(REFUSED_IN_USER))('refuses users[].user.%s', (key, value) => {
    const [error] = errorsOf(config({ user: { [key]: value } }));
    expect(error?.path).toBe(`users[0].user.${key}`);
    expect(error?.message).toMatch(/kubectl|that user/);
    expect(JSON.stringify(errorsOf(config({ user: { [key]: value } })))).not.toContain('hunter2');
  });

  it.each(Object.entries(REFUSED_IN_CLUSTER))('refuses clusters[].cluster.%s', (key, value) => {
    expect(pathsOf(config({ cluster: { [key]: value } }))).toEqual([`clusters[0].cluster.${key}`]);
  });

  it('names every wrong field at once, in entries that are not used too', () => {
    const value = config({ user: { exec: { command: 'x' }, password: 'y' }, cluster: { 'proxy-url': 'http://x' } });
    (value['users'] as unknown[]).push({ name: 'unused', user: { tokenFile: '/x' } });
    expect(pathsOf(value)).toEqual([
      'clusters[0].cluster.proxy-url',
      'users[0].user.exec',
      'users[0].user.password',
      'users[1].user.tokenFile',
    ]);
  });

  it('never lets a forbidden field pass, wherever it stands, and never opens a file', () => {
    const forbidden = fc.constantFrom(...Object.entries({ ...REFUSED_IN_USER, ...REFUSED_IN_CLUSTER }));
    const places = [
      (value: Record<string, unknown>) => value,
      ...['clusters', 'users', 'contexts'].flatMap((list) => [
        (value: Record<string, unknown>) => (value[list] as Record<string, unknown>[])[0] as Record<string, unknown>,
        (value: Record<string, unknown>) =>
          (value[list] as Record<string, Record<string, unknown>>[])[0]?.[list.slice(0, -1)] as Record<string, unknown>,
      ]),
    ];
    fc.assert(
      fc.property(forbidden, fc.constantFrom(...places), fc.boolean(), ([key, content], place, asJson) => {
        const value = config();
        place(value)[key] = content;
        const text = asJson ? JSON.stringify(value) : stringify(value);
        const refusal = refusalOf(() => parseKubeconfig(text));
        expect(refusal.code).toBe('request.invalid');
        expect(refusal.errors.some((error) => error.path.split('.').at(-1) === key)).toBe(true);
        expect(JSON.stringify([refusal.errors, refusal.detail])).not.toContain(canary);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses keys that only a prototype has', () => {
    expect(() => parseKubeconfig(JSON.stringify(config()).replace('"preferences"', '"__proto__"'))).toThrow(AppError);
    expect(pathsOf(config({ user: { constructor: 'x' } }))).toEqual(['users[0].user.constructor']);
  });

  it.each([
    ['http', 'http://10.0.0.1:6443'],
    ['no URL', '10.0.0.1:6443'],
    ['a name and password', 'https://a:b@10.0.0.1'],
    ['a query', 'https://10.0.0.1/?x=1'],
    ['another scheme', 'file:///etc/passwd'],
  ])('refuses a server with %s', (_what, server) => {
    expect(pathsOf(config({ cluster: { server } }))).toEqual(['clusters[0].cluster.server']);
  });

  it('keeps the path of a server behind a gateway', () => {
    expect(parse(config({ cluster: { server: 'https://gate.example/k8s/clusters/c-1/' } })).server).toBe(
      'https://gate.example/k8s/clusters/c-1',
    );
  });

  describe('certificates', () => {
    const withKey = (certificate: string, key: string): Record<string, unknown> =>
      config({ user: { token: null, 'client-certificate-data': certificate, 'client-key-data': key } });
    const certificatePath = 'users[0].user.client-certificate-data';
    const keyPath = 'users[0].user.client-key-data';

    it('refuses a key of another certificate, one with a passphrase, and what is neither', () => {
      expect(pathsOf(withKey(base64(client.certificate), base64(other.key)))).toEqual([keyPath]);
      const encrypted = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n';
      expect(errorsOf(withKey(base64(client.certificate), base64(encrypted)))).toMatchObject([
        { path: keyPath, message: expect.stringContaining('passphrase') },
      ]);
      expect(pathsOf(withKey(base64('x'), base64('y')))).toEqual([certificatePath, keyPath]);
      expect(pathsOf(withKey(base64(client.key), base64(client.key)))).toEqual([certificatePath]);
    });

    it('refuses one that has expired, and a CA that has', () => {
      const now = Date.UTC(2100, 0);
      const value = withKey(base64(client.certificate), base64(client.key));
      expect(errorsOf(value, { now }).map((error) => error.path)).toEqual([
        'clusters[0].cluster.certificate-authority-data',
        certificatePath,
      ]);
    });

    it('refuses a CA that is too large, a file name or a private key', () => {
      for (const ca of ['A'.repeat(200_000), '/etc/ssl/ca.pem', base64(client.key)]) {
        expect(pathsOf(config({ cluster: { 'certificate-authority-data': ca } }))).toEqual([
          'clusters[0].cluster.certificate-authority-data',
        ]);
      }
    });

    it('refuses half of a login, and two', () => {
      expect(pathsOf(config({ user: { token: null } }))).toEqual(['users[0].user']);
      expect(pathsOf(config({ user: { 'client-certificate-data': base64(client.certificate) } }))).toEqual([
        'users[0].user',
      ]);
      expect(pathsOf(withKey(base64(client.certificate), ''))).toEqual(['users[0].user']);
    });
  });

  describe('contexts', () => {
    const second = { name: 'stage', context: { cluster: 'c', user: 'u' } };
    const both = (current?: string): Record<string, unknown> => {
      const value = config({ root: { 'current-context': current ?? '' } });
      (value['contexts'] as unknown[]).push(second);
      return value;
    };

    it('takes the one that is asked for, else the current one, else the only one', () => {
      expect(parse(both('prod'), { context: 'stage' }).context).toBe('stage');
      expect(parse(both('stage')).context).toBe('stage');
      expect(parse(config({ root: { 'current-context': '' } })).context).toBe('prod');
    });

    it('lists them when it is not clear which', () => {
      const refusal = refusalOf(() => parse(both()));
      expect(refusal).toMatchObject({ errors: [{ path: 'context' }], details: { contexts: ['prod', 'stage'] } });
      expect(refusalOf(() => parse(both(), { context: 'nope' })).errors[0]?.message).toContain('prod, stage');
      expect(refusalOf(() => parse(both('nope'))).errors[0]?.path).toBe('current-context');
    });

    it('refuses names that stand twice, and entries that are not there', () => {
      const value = config();
      (value['users'] as unknown[]).push({ name: 'u', user: { token: 'x' } });
      expect(pathsOf(value)).toEqual(['users[1].name']);
      expect(pathsOf(config({ context: { user: 'nobody' } }))).toEqual(['contexts[0].context.user']);
    });
  });

  describe('text', () => {
    it.each([
      ['several documents', `${stringify(config())}---\n${stringify(config())}`],
      ['an alias', 'a: &x 1\nb: *x'],
      ['an anchor', 'a: &x 1'],
      ['a tag', 'a: !!js/function "x"'],
      ['a local tag', 'a: !x 1'],
      ['a duplicate key', 'kind: Config\nkind: Config'],
      ['deep flow', '['.repeat(10_000)],
      ['deep blocks', '- '.repeat(10_000)],
      ['too many bytes', `kind: ${'x'.repeat(1_100_000)}`],
      ['no YAML', '{"kind": '],
      ['nothing', ''],
      ['a text', 'hello'],
      ['a list', '- 1'],
    ])('refuses %s', (_what, text) => {
      const began = performance.now();
      expect(refusalOf(() => parseKubeconfig(text)).code).toBe('request.invalid');
      expect(performance.now() - began).toBeLessThan(1_000);
    });

    it('does not repeat the text in the error', () => {
      expect(JSON.stringify(refusalOf(() => parseKubeconfig('token: "hunter2')))).not.toContain('hunter2');
    });

    it('answers any text with a parsed kubeconfig or one kind of error', () => {
      fc.assert(
        fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
          expect(refusalOf(() => parseKubeconfig(text)).status).toBe(422);
        }),
      );
    });
  });
});
