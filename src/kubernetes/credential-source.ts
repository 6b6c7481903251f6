import type { TlsTrust } from '../egress/index.js';
import type { Clock } from '../runtime/clock.js';
import type { ClusterAccess } from './cluster-access.js';
import { KubernetesApiError } from './kubernetes-api.js';
import type { ServiceAccount } from './service-account.js';

/** What a connection proves itself with, as it is at the moment. */
export interface CredentialSource {
  trust(): Promise<TlsTrust>;
  /** Value of the `authorization` header; undefined where the TLS handshake is the proof. */
  authorization(): Promise<string | undefined>;
  /** After a 401: whether there is another credential now, so that a second try makes sense. */
  renew(): Promise<boolean>;
}

const IN_CLUSTER_MAX_AGE_MS = 60_000;

export function credentialSourceOf(access: ClusterAccess, account: ServiceAccount, clock: Clock): CredentialSource {
  switch (access.credential.type) {
    case 'token':
      return new FixedCredential(trustOf(access), `Bearer ${access.credential.token}`);
    case 'client-certificate': {
      const { certificateData, keyData } = access.credential;
      return new FixedCredential({ ...trustOf(access), cert: certificateData, key: keyData }, undefined);
    }
    case 'in-cluster':
      return new InClusterCredential(access, account, clock);
  }
}

function trustOf(access: ClusterAccess): TlsTrust {
  return {
    ...(access.caData === undefined ? {} : { ca: access.caData }),
    ...(access.tlsServerName === undefined ? {} : { serverName: access.tlsServerName }),
  };
}

class FixedCredential implements CredentialSource {
  constructor(
    private readonly tls: TlsTrust,
    private readonly header: string | undefined,
  ) {}

  trust(): Promise<TlsTrust> {
    return Promise.resolve(this.tls);
  }

  authorization(): Promise<string | undefined> {
    return Promise.resolve(this.header);
  }

  renew(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

/** The kubelet replaces the files of a pod's service account before the token in them ends. */
class InClusterCredential implements CredentialSource {
  private current: { readonly token: string; readonly ca: string; readonly readAt: number } | undefined;

  constructor(
    private readonly access: ClusterAccess,
    private readonly account: ServiceAccount,
    private readonly clock: Clock,
  ) {}

  async trust(): Promise<TlsTrust> {
    const { ca } = await this.read();
    return { ...trustOf(this.access), ca };
  }

  async authorization(): Promise<string> {
    const { token } = await this.read();
    return `Bearer ${token}`;
  }

  async renew(): Promise<boolean> {
    const before = this.current?.token;
    this.current = undefined;
    const { token } = await this.read();
    return token !== before;
  }

  private async read(): Promise<{ token: string; ca: string }> {
    const now = this.clock.monotonic();
    await this.assertOwnServer();
    if (!this.current || now - this.current.readAt >= IN_CLUSTER_MAX_AGE_MS) {
      this.current = { ...(await this.account.read()), readAt: now };
    }
    return this.current;
  }

  /** The pod's token opens everything the service may do in its own cluster: nobody else's server gets it. */
  private async assertOwnServer(): Promise<void> {
    const server = await this.account.server();
    if (server === this.access.server) return;
    throw new KubernetesApiError(
      'unauthorized',
      `the pod's credential is only for the API server of its own cluster (${server ?? 'the service runs in none'}), not for ${this.access.server}`,
    );
  }
}
