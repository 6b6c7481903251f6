import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import type { ClusterCredential, ClusterEndpoint } from '../kubernetes/cluster-access.js';
import { PodServiceAccount, checkAccess, parseKubeconfig } from '../kubernetes/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { endpointOf } from './cluster-access-sealing.js';
import type { CreateCluster, ReplaceCredentials, UpdateCluster } from './cluster.dto.js';
import type { ClusterDocument } from './cluster.schema.js';

/** Endpoint and credential as a user gave them: checked, but never tried. */
export interface GivenAccess {
  readonly endpoint: ClusterEndpoint;
  readonly credential: ClusterCredential;
  /** Of the kubeconfig that it came from. */
  readonly context: string | null;
}

interface EndpointFields {
  readonly server?: string | undefined;
  readonly caData?: string | null | undefined;
  readonly tlsServerName?: string | null | undefined;
}

/** Reads the four forms of access. All of them throw AppError `request.invalid` with the path of each wrong field. */
@Injectable()
export class ClusterAccessInput {
  constructor(
    private readonly account: PodServiceAccount,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async ofRegistration(input: CreateCluster): Promise<GivenAccess> {
    const { token, clientCertificate } = input;
    if (token) return this.checked('token', token, { type: 'token', token: token.token });
    if (clientCertificate) return this.checked('clientCertificate', clientCertificate, certificate(clientCertificate));
    return this.ofWhole(input);
  }

  /** A new credential; the endpoint stays where a token or certificate comes without one. */
  async ofRotation(input: ReplaceCredentials, current: ClusterDocument): Promise<GivenAccess> {
    const { token, clientCertificate } = input;
    if (token) return this.checked('token', merged(current, token), { type: 'token', token: token.token });
    if (clientCertificate) {
      return this.checked('clientCertificate', merged(current, clientCertificate), certificate(clientCertificate));
    }
    return this.ofWhole(input);
  }

  /**
   * The access that a PATCH asks for; undefined when it leaves endpoint and credential alone.
   * @throws AppError `cluster.credential_required` for another endpoint without the credential: the stored one was
   * given for the old server and is sent to no other.
   */
  ofChange(input: UpdateCluster, current: ClusterDocument): GivenAccess | undefined {
    const { token, clientCertificate } = input;
    const endpoint = merged(current, input);
    if (token !== undefined) return this.checked('', endpoint, { type: 'token', token });
    if (clientCertificate) return this.checked('', endpoint, certificate(clientCertificate));
    if (sameEndpoint(endpoint, current)) return undefined;
    const changed = (['server', 'caData', 'tlsServerName'] as const).filter((field) => input[field] !== undefined);
    throw new AppError(
      'cluster.credential_required',
      'server, caData and tlsServerName change only together with the credential: add token or clientCertificate, ' +
        'or use PUT /clusters/:id/credentials',
      { errors: changed.map((path) => ({ path, message: 'needs the credential again' })) },
    );
  }

  private async ofWhole({ kubeconfig }: Pick<CreateCluster, 'kubeconfig'>): Promise<GivenAccess> {
    if (!kubeconfig) return this.ofPod();
    const { context } = kubeconfig;
    const parsed = parseKubeconfig(kubeconfig.text, {
      now: this.clock.now(),
      ...(context === undefined ? {} : { context }),
    });
    return { endpoint: endpointIn(parsed), credential: parsed.credential, context: parsed.context };
  }

  private checked(
    path: string,
    endpoint: EndpointFields & { server: string },
    credential: ClusterCredential,
  ): GivenAccess {
    return { ...checkAccess({ ...endpointIn(endpoint), credential }, path, this.clock.now()), context: null };
  }

  private async ofPod(): Promise<GivenAccess> {
    const server = await this.account.server();
    if (server === undefined) {
      const message = 'the service does not run in a cluster; use kubeconfig, token or clientCertificate';
      throw AppError.invalid([{ path: 'inCluster', message }]);
    }
    const { ca } = await this.account.read();
    return { endpoint: { server, caData: ca }, credential: { type: 'in-cluster' }, context: null };
  }
}

function certificate(given: { certificateData: string; keyData: string }): ClusterCredential {
  return { type: 'client-certificate', certificateData: given.certificateData, keyData: given.keyData };
}

function merged(current: ClusterDocument, given: EndpointFields): EndpointFields & { server: string } {
  return {
    server: given.server ?? current.server,
    caData: given.caData === undefined ? current.caData : given.caData,
    tlsServerName: given.tlsServerName === undefined ? current.tlsServerName : given.tlsServerName,
  };
}

function endpointIn({ server, caData, tlsServerName }: EndpointFields & { server: string }): ClusterEndpoint {
  return {
    server,
    ...(caData === undefined || caData === null ? {} : { caData }),
    ...(tlsServerName === undefined || tlsServerName === null ? {} : { tlsServerName }),
  };
}

function sameEndpoint(wanted: EndpointFields, current: ClusterDocument): boolean {
  const stored = endpointOf(current);
  return (
    wanted.server === stored.server &&
    (wanted.caData ?? undefined) === stored.caData &&
    (wanted.tlsServerName ?? undefined) === stored.tlsServerName
  );
}
