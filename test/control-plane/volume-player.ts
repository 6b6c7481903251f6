import type { V1PersistentVolume, V1PersistentVolumeClaim } from '@kubernetes/client-node';
import type { ClusterAccess } from './cluster-access.ts';
import { ObjectFeed, uidOf } from './object-feed.ts';

/** Offers a static volume for each claim, which the control plane's own binder then binds; takes it away with the claim. */
export class VolumePlayer {
  private readonly access: ClusterAccess;
  private readonly claims: ObjectFeed<V1PersistentVolumeClaim>;
  private readonly work = new Set<Promise<void>>();
  private readonly log: (line: string) => void;
  private readonly offered = new Set<string>();

  constructor(access: ClusterAccess, log: (line: string) => void) {
    this.access = access;
    this.log = log;
    this.claims = new ObjectFeed<V1PersistentVolumeClaim>(access, '/api/v1/persistentvolumeclaims', {
      present: (claim) => this.track(() => this.offer(claim)),
      gone: (claim) => this.track(() => this.withdraw(claim)),
    });
  }

  start(): void {
    this.claims.start();
  }

  async stop(): Promise<void> {
    await this.claims.stop();
    await Promise.all(this.work);
  }

  private async offer(claim: V1PersistentVolumeClaim): Promise<void> {
    const uid = uidOf(claim);
    if (claim.spec?.volumeName || claim.metadata?.deletionTimestamp || this.offered.has(uid)) return;
    const answer = await this.access.request('POST', '/api/v1/persistentvolumes', volumeFor(claim));
    if (answer.status !== 201 && answer.status !== 409) throw new Error(JSON.stringify(answer.body));
    this.offered.add(uid);
  }

  private async withdraw(claim: V1PersistentVolumeClaim): Promise<void> {
    this.offered.delete(uidOf(claim));
    await this.access.request('DELETE', `/api/v1/persistentvolumes/${nameFor(claim)}`);
  }

  /** A failure is told and left to the next list, which calls again for every claim. */
  private track(work: () => Promise<void>): void {
    const done = work()
      .catch((error: unknown) => this.log(`volume: ${error instanceof Error ? error.message : String(error)}`))
      .finally(() => this.work.delete(done));
    this.work.add(done);
  }
}

function nameFor(claim: V1PersistentVolumeClaim): string {
  return `played-${uidOf(claim)}`;
}

function volumeFor(claim: V1PersistentVolumeClaim): V1PersistentVolume {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: nameFor(claim) },
    spec: {
      capacity: { storage: claim.spec?.resources?.requests?.['storage'] ?? '1Gi' },
      accessModes: claim.spec?.accessModes ?? ['ReadWriteOnce'],
      storageClassName: claim.spec?.storageClassName ?? '',
      persistentVolumeReclaimPolicy: 'Retain',
      volumeMode: claim.spec?.volumeMode ?? 'Filesystem',
      hostPath: { path: `/played/${uidOf(claim)}` },
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: claim.metadata?.namespace ?? '',
        name: claim.metadata?.name ?? '',
        uid: uidOf(claim),
      },
    },
  };
}
