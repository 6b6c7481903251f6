import type { X509Certificate } from 'node:crypto';
import { AppError, type FieldError } from '../errors/app-error.js';
import { SystemClock } from '../runtime/clock.js';
import type { ClusterCredential, ClusterEndpoint } from './cluster-access.js';
import { FieldProblem } from './field-problem.js';
import { checkKey, checkNotExpired, readCertificates, readPem } from './pem.js';

/** Endpoint and credential as somebody gave them. */
export interface GivenClusterAccess extends ClusterEndpoint {
  readonly credential: ClusterCredential;
}

/** Checked, with PEM decoded and the URL in its one spelling. */
export interface CheckedClusterAccess {
  readonly endpoint: ClusterEndpoint;
  readonly credential: ClusterCredential;
}

/** Where each value stood in the input, for the errors. */
export type AccessPaths = Readonly<
  Record<'server' | 'caData' | 'tlsServerName' | 'token' | 'certificateData' | 'keyData', string>
>;

const MAX_URL = 2_048;
const MAX_TOKEN = 16 * 1024;
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9*]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$/;

/**
 * @param path of the object that holds the fields, '' for the body itself.
 * @throws AppError `request.invalid` with every wrong field.
 */
export function checkAccess(
  given: GivenClusterAccess,
  path: string,
  now = new SystemClock().now(),
): CheckedClusterAccess {
  const at = (field: string): string => (path === '' ? field : `${path}.${field}`);
  const errors: FieldError[] = [];
  const checked = collectAccess(
    given,
    {
      server: at('server'),
      caData: at('caData'),
      tlsServerName: at('tlsServerName'),
      token: at('token'),
      certificateData: at('certificateData'),
      keyData: at('keyData'),
    },
    now,
    errors,
  );
  if (errors.length > 0) throw AppError.invalid(errors);
  return checked;
}

/** As `checkAccess`, adding what is wrong to `errors`; the result is usable only if nothing was added. */
export function collectAccess(
  given: GivenClusterAccess,
  paths: AccessPaths,
  now: number,
  errors: FieldError[],
): CheckedClusterAccess {
  const attempt = <T>(path: string, otherwise: T, read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FieldProblem)) throw error;
      errors.push({ path, message: error.message });
      return otherwise;
    }
  };
  const { caData, tlsServerName, credential } = given;
  const server = attempt(paths.server, given.server, () => readServer(given.server));
  const ca = caData === undefined ? undefined : attempt(paths.caData, caData, () => readBundle(caData, now));
  if (tlsServerName !== undefined && !HOST_NAME.test(tlsServerName)) {
    errors.push({ path: paths.tlsServerName, message: 'is not a host name' });
  }
  return {
    endpoint: {
      server,
      ...(ca === undefined ? {} : { caData: ca }),
      ...(tlsServerName === undefined ? {} : { tlsServerName }),
    },
    credential: readCredential(credential, paths, now, attempt),
  };
}

function readCredential(
  credential: ClusterCredential,
  paths: AccessPaths,
  now: number,
  attempt: <T>(path: string, otherwise: T, read: () => T) => T,
): ClusterCredential {
  if (credential.type === 'token') {
    return { type: 'token', token: attempt(paths.token, '', () => readToken(credential.token)) };
  }
  if (credential.type === 'in-cluster') return credential;
  let leaf: X509Certificate | undefined;
  const certificateData = attempt(paths.certificateData, '', () => {
    const pem = readPem(credential.certificateData);
    const [first, ...chain] = readCertificates(pem);
    checkNotExpired(first ? [first, ...chain] : [], now);
    leaf = first;
    return pem;
  });
  const keyData = attempt(paths.keyData, '', () => {
    const pem = readPem(credential.keyData);
    checkKey(pem, leaf);
    return pem;
  });
  return { type: 'client-certificate', certificateData, keyData };
}

function readServer(text: string): string {
  if (text.length > MAX_URL || !URL.canParse(text)) throw new FieldProblem('is not a URL like https://10.0.0.1:6443');
  const url = new URL(text);
  if (url.protocol !== 'https:')
    throw new FieldProblem('has to begin with https://, because the credential is sent there');
  if (url.username !== '' || url.password !== '') throw new FieldProblem('must not carry a name or password');
  if (url.search !== '' || url.hash !== '') throw new FieldProblem('must not have a query or fragment');
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function readBundle(text: string, now: number): string {
  const pem = readPem(text);
  checkNotExpired(readCertificates(pem), now);
  return pem;
}

/** A header value: RFC 9110 allows no control characters, RFC 6750 no spaces. */
function readToken(text: string): string {
  const token = text.trim();
  if (token.length > MAX_TOKEN) throw new FieldProblem(`is longer than ${MAX_TOKEN} characters`);
  if (!/^[\x21-\x7e]+$/.test(token)) throw new FieldProblem('is not a bearer token');
  return token;
}
