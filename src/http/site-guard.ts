import { isIP } from 'node:net';
import type { RequestHandler } from 'express';
import { isLoopbackHost } from '../auth/loopback.js';
import { AppError } from '../errors/app-error.js';

export interface SiteGuardOptions {
  /** Without keys: only this machine's own names are hosts of the service. */
  readonly loopbackOnly: boolean;
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
const CLUSTER_LOCAL = /^[a-z0-9-]+(\.[a-z0-9-]+\.svc(\.[a-z0-9.-]+)?)?$/;
const STREAM = /^\/api\/v1\/(gateway\/)?streams(\/|$)/i;

/**
 * Keeps other sites' pages out. `Host` is checked always, against DNS rebinding: an attacker's page can only name the
 * service by a public DNS name, so addresses and cluster-local names are safe, other names have to be listed.
 * `Origin` and `Sec-Fetch-Site` are checked on mutations and streams.
 */
export function siteGuard(options: SiteGuardOptions): RequestHandler {
  const listed = new Set(options.allowedHosts.map((host) => host.toLowerCase()));
  const isOwnHost = (host: string): boolean => {
    if (isLoopbackHost(host) || listed.has(host)) return true;
    return !options.loopbackOnly && (isIP(host) !== 0 || CLUSTER_LOCAL.test(host));
  };
  return (request, _response, next) => {
    const { host = '', origin } = request.headers;
    const name = hostName(host);
    if (name === undefined || !isOwnHost(name)) {
      throw new AppError(
        'request.host_refused',
        'the Host header names no host of this service; list the name in CROWSNEST_ALLOWED_HOSTS',
      );
    }
    const guarded = !SAFE_METHODS.has(request.method) || STREAM.test(request.path);
    const site = request.headers['sec-fetch-site'];
    const isListed = origin !== undefined && options.corsOrigins.includes(origin);
    const isForeignOrigin = origin !== undefined && !isSameOrigin(origin, host);
    const isForeignSite = origin === undefined && (site === 'cross-site' || site === 'same-site');
    if (guarded && !isListed && (isForeignOrigin || isForeignSite)) {
      throw new AppError(
        'request.origin_refused',
        'pages of other sites may not do this; list their origin in CROWSNEST_CORS_ORIGINS',
      );
    }
    next();
  };
}

/** Without port and brackets, in lower case; undefined if it is no host. */
function hostName(header: string): string | undefined {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/i.exec(header) ?? [];
  return name?.replaceAll(/[[\]]/g, '').toLowerCase();
}

/** The scheme is not compared: a proxy in front may speak TLS for us. */
function isSameOrigin(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}
