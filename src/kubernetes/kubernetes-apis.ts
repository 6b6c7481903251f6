import { Inject, Injectable } from '@nestjs/common';
import { GuardedDialer } from '../egress/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { Runnable } from '../runtime/runnable.js';
import type { ClusterAccess, ClusterAccessProvider } from './cluster-access.js';
import { credentialSourceOf } from './credential-source.js';
import { KubernetesApiError, type KubernetesApi } from './kubernetes-api.js';
import { KubernetesClient } from './kubernetes-client.js';
import { PodServiceAccount, type ServiceAccount } from './service-account.js';
import { UserAgent } from './user-agent.js';

interface Registered {
  readonly accessVersion: number;
  readonly client: KubernetesClient;
}

/** The API servers of all clusters: one set of connections for each, made anew when the cluster's access changes. */
@Injectable()
export class KubernetesApis implements Runnable {
  readonly name = 'connections to API servers';
  private readonly registered = new Map<string, Registered>();
  /** Every client with connections, also those that are being closed. */
  private readonly clients = new Set<KubernetesClient>();
  private provider: ClusterAccessProvider | undefined;
  private stopped = false;

  constructor(
    private readonly dialer: GuardedDialer,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(PodServiceAccount) private readonly account: ServiceAccount,
    @Inject(UserAgent) private readonly userAgent: { readonly value: string },
  ) {}

  /** Says where accesses come from. A call and no injected port: who registers clusters also checks them through this class. */
  bindAccess(provider: ClusterAccessProvider): void {
    this.provider = provider;
  }

  start(): Promise<void> {
    this.stopped = false;
    return Promise.resolve();
  }

  /** Cuts what is in progress everywhere; resolves when no socket is left. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.registered.clear();
    await Promise.all([...this.clients].map((client) => this.closeClient(client)));
  }

  /** The API of a registered cluster. @throws AppError as `ClusterAccessProvider.accessOf` does. */
  async forCluster(clusterId: string): Promise<KubernetesApi> {
    if (!this.provider) throw new Error('no ClusterAccessProvider is bound');
    const access = await this.provider.accessOf(clusterId);
    const current = this.registered.get(clusterId);
    // A slower reader may hold the access from before a change: the newer connections stay.
    if (current && current.accessVersion >= access.accessVersion) return current.client;
    const client = this.createClient(access);
    this.registered.set(clusterId, { accessVersion: access.accessVersion, client });
    if (current) void this.closeClient(current.client);
    return client;
  }

  /** Ends the connections to a cluster, for instance because it was deleted. */
  async close(clusterId: string): Promise<void> {
    const current = this.registered.get(clusterId);
    this.registered.delete(clusterId);
    if (current) await this.closeClient(current.client);
  }

  /** For an access that is not stored (yet). The caller closes it. */
  open(access: ClusterAccess): KubernetesApi & { close(): Promise<void> } {
    const client = this.createClient(access);
    return {
      clusterId: client.clusterId,
      call: (call) => client.call(call),
      watch: (call) => client.watch(call),
      close: () => this.closeClient(client),
    };
  }

  /** Sockets to API servers, for metrics. */
  get connections(): number {
    return [...this.clients].reduce((sum, client) => sum + client.connections, 0);
  }

  private createClient(access: ClusterAccess): KubernetesClient {
    if (this.stopped) throw new KubernetesApiError('cut', 'the service is shutting down: no connection is opened');
    const client = new KubernetesClient({
      access,
      credentials: credentialSourceOf(access, this.account, this.clock),
      dialer: this.dialer,
      clock: this.clock,
      userAgent: () => this.userAgent.value,
    });
    this.clients.add(client);
    return client;
  }

  private async closeClient(client: KubernetesClient): Promise<void> {
    await client.close();
    this.clients.delete(client);
  }
}
