import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Credential {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS#8. */
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes reads these as the user's groups. */
  readonly organizations?: readonly string[];
  readonly usage: 'clientAuth' | 'serverAuth';
  /** `DNS:localhost`, `IP:127.0.0.1`. */
  readonly alternativeNames?: readonly string[];
}

/**
 * A certificate authority of a test cluster, kept in a folder so that any process of the test run can issue from it.
 * Needs the `openssl` command (OpenSSL or LibreSSL).
 */
export class CertificateAuthority {
  readonly certificateFile: string;
  private readonly keyFile: string;
  private readonly directory: string;

  /** Reads the authority in `directory`, or makes one there. */
  constructor(directory: string) {
    this.directory = directory;
    this.certificateFile = join(directory, 'ca.crt');
    this.keyFile = join(directory, 'ca.key');
    if (existsSync(this.certificateFile)) return;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeKey(this.keyFile, newEcKey());
    const identity = ['-subj', '/CN=test-cluster-ca', '-days', '30', '-sha256'];
    openssl('req', '-x509', '-new', '-key', this.keyFile, ...identity, '-out', this.certificateFile);
  }

  get certificate(): string {
    return readFileSync(this.certificateFile, 'utf8');
  }

  issue(request: CertificateRequest): Credential {
    const scratch = mkdtempSync(join(this.directory, 'issue-'));
    try {
      const key = join(scratch, 'key');
      const csr = join(scratch, 'csr');
      const extensions = join(scratch, 'extensions');
      const certificate = join(scratch, 'certificate');
      writeKey(key, newEcKey());
      writeFileSync(extensions, extensionFile(request));
      openssl('req', '-new', '-key', key, '-subj', subject(request), '-out', csr);
      const signer = [
        '-CA',
        this.certificateFile,
        '-CAkey',
        this.keyFile,
        '-set_serial',
        `0x01${randomBytes(8).toString('hex')}`,
      ];
      openssl(
        'x509',
        '-req',
        '-in',
        csr,
        ...signer,
        '-days',
        '30',
        '-sha256',
        '-extfile',
        extensions,
        '-out',
        certificate,
      );
      return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
}

/** Makes the key pair that signs ServiceAccount tokens, unless it is there. */
export function ensureServiceAccountKeys(directory: string): { privateKeyFile: string; publicKeyFile: string } {
  const privateKeyFile = join(directory, 'service-account.key');
  const publicKeyFile = join(directory, 'service-account.pub');
  if (!existsSync(publicKeyFile)) {
    const pair = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    writeKey(privateKeyFile, pair.privateKey);
    writeFileSync(publicKeyFile, pair.publicKey);
  }
  return { privateKeyFile, publicKeyFile };
}

function newEcKey(): string {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey;
}

function writeKey(file: string, key: string): void {
  writeFileSync(file, key, { mode: 0o600 });
}

function extensionFile(request: CertificateRequest): string {
  const lines = ['keyUsage=digitalSignature,keyEncipherment', `extendedKeyUsage=${request.usage}`];
  if (request.alternativeNames?.length) lines.push(`subjectAltName=${request.alternativeNames.join(',')}`);
  return `${lines.join('\n')}\n`;
}

function subject(request: CertificateRequest): string {
  const escaped = (value: string): string => value.replaceAll(/[\\/+]/g, String.raw`\$&`);
  const organizations = (request.organizations ?? []).map((name) => `/O=${escaped(name)}`);
  return `${organizations.join('')}/CN=${escaped(request.commonName)}`;
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
