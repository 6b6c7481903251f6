import { X509Certificate, createPrivateKey } from 'node:crypto';
import { FieldProblem } from './field-problem.js';

export const MAX_PEM_BYTES = 64 * 1024;

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s:,-]*?-----END \1-----/g;

/** PEM, or the base64 of it that kubeconfigs carry, as PEM. @throws FieldProblem */
export function readPem(text: string): string {
  if (text.length > MAX_PEM_BYTES * 1.4) throw new FieldProblem(`is larger than ${MAX_PEM_BYTES} bytes`);
  const isBase64 = !text.includes('-----BEGIN') && /^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text);
  const pem = isBase64 ? Buffer.from(text, 'base64').toString() : text;
  if (pem.length > MAX_PEM_BYTES) throw new FieldProblem(`is larger than ${MAX_PEM_BYTES} bytes`);
  if (!pem.includes('-----BEGIN')) throw new FieldProblem('is not PEM');
  return pem;
}

/** The certificates of a bundle, at least one, and nothing but certificates. @throws FieldProblem */
export function readCertificates(pem: string): X509Certificate[] {
  const blocks = [...pem.matchAll(BLOCK)];
  if (blocks.some(([, label]) => label?.includes('PRIVATE KEY'))) throw new FieldProblem('holds a private key');
  if (blocks.some(([, label]) => label !== 'CERTIFICATE'))
    throw new FieldProblem('holds something else than certificates');
  if (blocks.length === 0) throw new FieldProblem('holds no certificate');
  return blocks.map(([block]) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new FieldProblem('holds a certificate that cannot be read');
    }
  });
}

/** @throws FieldProblem unless the key is readable and belongs to the certificate. */
export function checkKey(pem: string, certificate: X509Certificate | undefined): void {
  if (/ENCRYPTED/.test(pem)) throw new FieldProblem('is encrypted with a passphrase; give the plain key');
  const key = parseKey(pem);
  if (certificate && !certificate.checkPrivateKey(key))
    throw new FieldProblem('is not the key of the client certificate');
}

/** @param now milliseconds since the epoch. @throws FieldProblem */
export function checkNotExpired(certificates: readonly X509Certificate[], now: number): void {
  const expired = certificates.find((certificate) => certificate.validToDate.getTime() < now);
  if (expired) throw new FieldProblem(`has expired on ${expired.validToDate.toISOString()}`);
}

function parseKey(pem: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new FieldProblem('is not a private key that can be read');
  }
}
