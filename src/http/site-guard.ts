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

/** What a request says of where it comes from. */
export interface SiteHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | string[] | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
}

/**
 * Keeps other sites' pages out. `Host` is checked always, against DNS rebinding: an attacker's page can only name the
 * service by a public DNS name, so addresses and cluster-local names are safe, other names have to be listed.
 * `Origin` and `Sec-Fetch-Site` are checked on mutations and streams.
 */
export class SiteRules {
  private readonly hosts: ReadonlySet<string>;
  private readonly origins: ReadonlySet<string>;

  constructor(private readonly options: SiteGuardOptions) {
    this.hosts = new Set(options.allowedHosts.map((host) => host.toLowerCase()));
    this.origins = new Set(options.corsOrigins);
  }

  isListed(origin: string): boolean {
    return this.origins.has(origin);
  }

  /** @throws AppError `request.host_refused` */
  requireOwnHost({ host = '' }: SiteHeaders): void {
    const name = hostName(host);
    if (name !== undefined && this.isOwnHost(name)) return;
    throw new AppError(
      'request.host_refused',
      'the Host header names no host of this service; list the name in CROWSNEST_ALLOWED_HOSTS',
    );
  }

  /** @throws AppError `request.origin_refused` */
  requireOwnSite({ host = '', origin, 'sec-fetch-site': site }: SiteHeaders): void {
    if (typeof origin === 'string' && this.isListed(origin)) return;
    const isForeignOrigin = origin !== undefined && !isSameOrigin(String(origin), host);
    const isForeignSite = origin === undefined && (site === 'cross-site' || site === 'same-site');
    if (!isForeignOrigin && !isForeignSite) return;
    throw new AppError(
      'request.origin_refused',
      'pages of other sites may not do this; list their origin in CROWSNEST_CORS_ORIGINS',
    );
  }

  private isOwnHost(host: string): boolean {
    if (isLoopbackHost(host) || this.hosts.has(host)) return true;
    return !this.options.loopbackOnly && (isIP(host) !== 0 || CLUSTER_LOCAL.test(host));
  }
}

export function siteGuard(options: SiteGuardOptions): RequestHandler {
  const rules = new SiteRules(options);
  return (request, _response, next) => {
    rules.requireOwnHost(request.headers);
    if (!SAFE_METHODS.has(request.method) || STREAM.test(request.path)) rules.requireOwnSite(request.headers);
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
