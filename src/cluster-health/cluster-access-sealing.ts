import { X509Certificate, createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { ClusterAccess, ClusterCredential, ClusterEndpoint } from '../kubernetes/cluster-access.js';
import { SealError, type SealFailure, Sealer } from '../sealing/index.js';
import type { ClusterReason } from './cluster.js';
import type { ClusterDocument, StoredAccess } from './cluster.schema.js';

/** The stored credential cannot be used, so nothing is sent to the cluster. */
export class CredentialUnusable extends Error {
  constructor(
    readonly reason: ClusterReason,
    cause: unknown,
  ) {
    super(reason.message, { cause });
    this.name = 'CredentialUnusable';
  }
}

const REASONS: Readonly<Record<SealFailure, ClusterReason>> = {
  tampered: {
    code: 'credential-mismatch',
    message:
      'the credential was given for another server, CA, cluster or tenant than the stored one, so nothing was sent; ' +
      'give it again by PUT /clusters/:id/credentials',
  },
  'unknown-key': {
    code: 'credential-unreadable',
    message: 'the credential was sealed with a key that is not configured; add that key to CROWSNEST_SEALING_KEY',
  },
  malformed: {
    code: 'credential-unreadable',
    message: 'the stored credential is damaged; give it again by PUT /clusters/:id/credentials',
  },
};

/**
 * Keeps credentials sealed, each bound to its tenant, cluster, server and CA: a credential whose server was changed in
 * the database cannot be opened, and so is never sent to the new one.
 */
@Injectable()
export class ClusterAccessSealing {
  constructor(private readonly sealer: Sealer) {}

  /** The stored form of an access that belongs to this cluster of this tenant. */
  seal(tenantId: string, access: ClusterAccess, context: string | null): StoredAccess {
    return {
      server: access.server,
      caData: access.caData ?? null,
      caFingerprint: access.caData === undefined ? null : new X509Certificate(access.caData).fingerprint256,
      tlsServerName: access.tlsServerName ?? null,
      context,
      credentialType: access.credential.type,
      credential: this.sealer.seal(JSON.stringify(access.credential), binding(tenantId, access.clusterId, access)),
      endpointKey: endpointKey(access),
      accessVersion: access.accessVersion,
    };
  }

  /** @throws CredentialUnusable */
  open(cluster: ClusterDocument): ClusterAccess {
    const clusterId = cluster._id.toHexString();
    const endpoint = endpointOf(cluster);
    const credential = this.openCredential(cluster, binding(cluster.tenantId, clusterId, endpoint));
    return { ...endpoint, clusterId, accessVersion: cluster.accessVersion, credential };
  }

  private openCredential(cluster: ClusterDocument, context: readonly string[]): ClusterCredential {
    try {
      return JSON.parse(this.sealer.open(cluster.credential, context)) as ClusterCredential;
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      throw new CredentialUnusable(REASONS[error.failure], error);
    }
  }
}

export function endpointOf(stored: Pick<StoredAccess, 'server' | 'caData' | 'tlsServerName'>): ClusterEndpoint {
  return {
    server: stored.server,
    ...(stored.caData === null ? {} : { caData: stored.caData }),
    ...(stored.tlsServerName === null ? {} : { tlsServerName: stored.tlsServerName }),
  };
}

/** Equal for the same server with the same CA. */
export function endpointKey({ server, caData }: ClusterEndpoint): string {
  return sha256(`${server}\n${sha256(caData ?? '')}`);
}

function binding(tenantId: string, clusterId: string, endpoint: ClusterEndpoint): readonly string[] {
  return ['cluster', tenantId, clusterId, endpoint.server, endpoint.tlsServerName ?? '', sha256(endpoint.caData ?? '')];
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
