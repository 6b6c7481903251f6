import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { type ClusterAccess } from './cluster-access.ts';
import { HorizontalPodAutoscalerPlayer } from './horizontal-pod-autoscaler-player.ts';
import { ObjectFeed, uidOf } from './object-feed.ts';
import { behaviourKey, type PodBehaviour, podBehaviours, podStep } from './pod-behaviour.ts';
import { VolumePlayer } from './volume-player.ts';

const strategicMerge = 'application/strategic-merge-patch+json';
const mergePatch = 'application/merge-patch+json';

interface Rule {
  readonly match: (pod: V1Pod) => boolean;
  readonly behaviour: PodBehaviour;
}

interface Played {
  behaviour: PodBehaviour;
  step: number;
  timer: NodeJS.Timeout | undefined;
  /** As the last write left it: the watch may lag behind. */
  written: V1Pod | undefined;
  /** Writes of one pod follow each other. */
  queue: Promise<void>;
}

/**
 * Plays the one part of a cluster that is missing: a Node that is Ready, pods scheduled to it that run (or fail as told), the
 * end of pod deletion, the status of autoscalers and a volume for each claim. Only the control plane's own controllers do
 * everything else. What a pod does is said, first match wins, by its label or annotation `crowsnest.test/behave`, by the last
 * rule given to `behave`, or by its owner: pods of a Job complete, others become ready.
 */
export class Kubelet {
  private readonly access: ClusterAccess;
  private readonly nodeName: string;
  private readonly log: (line: string) => void;
  private readonly rules: Rule[] = [];
  private readonly played = new Map<string, Played>();
  private readonly pods: ObjectFeed<V1Pod>;
  private readonly nodes: ObjectFeed<V1Node>;
  private readonly volumes: VolumePlayer;
  private readonly autoscalers: HorizontalPodAutoscalerPlayer;
  private stopping = false;

  constructor(access: ClusterAccess, options: { nodeName?: string; log?: (line: string) => void } = {}) {
    this.access = access;
    this.nodeName = options.nodeName ?? 'node-1';
    this.log = options.log ?? (() => undefined);
    this.pods = new ObjectFeed<V1Pod>(access, `/api/v1/pods?fieldSelector=spec.nodeName%3D${this.nodeName}`, {
      present: (pod) => this.play(pod),
      gone: (pod) => this.forget(pod),
    });
    this.nodes = new ObjectFeed<V1Node>(access, '/api/v1/nodes', {
      present: (node) => this.keepReady(node),
      gone: (node) => {
        if (node.metadata?.name === this.nodeName) void this.attempt('create the node', () => this.createNode());
      },
    });
    this.volumes = new VolumePlayer(access, this.log);
    this.autoscalers = new HorizontalPodAutoscalerPlayer(access, this.log);
  }

  /** Resolves when the node is Ready and pods are being played. */
  async start(): Promise<void> {
    this.stopping = false;
    await this.createNode();
    for (const part of [this.nodes, this.pods, this.volumes, this.autoscalers]) part.start();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all([this.nodes, this.pods, this.volumes, this.autoscalers].map((part) => part.stop()));
    for (const { timer } of this.played.values()) clearTimeout(timer);
    await Promise.all([...this.played.values()].map(({ queue }) => queue));
    this.played.clear();
  }

  /** Makes matching pods, those that run and those to come, behave as told; call the answer to take it back. */
  behave(match: (pod: V1Pod) => boolean, behaviour: PodBehaviour): () => void {
    const rule: Rule = { match, behaviour };
    this.rules.unshift(rule);
    const replay = (): void => this.pods.values().forEach((pod) => this.play(pod));
    replay();
    return () => {
      this.rules.splice(this.rules.indexOf(rule), 1);
      replay();
    };
  }

  private play(pod: V1Pod): void {
    if (this.stopping) return;
    if (pod.metadata?.deletionTimestamp) {
      this.enqueue(pod, () => this.finishDeletion(pod));
      return;
    }
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
    const behaviour = this.behaviourOf(pod);
    const known = this.played.get(uidOf(pod));
    if (known?.behaviour === behaviour) return;
    clearTimeout(known?.timer);
    this.played.set(uidOf(pod), { ...(known ?? untouched()), behaviour, step: -1, timer: undefined });
    this.enqueue(pod, () => this.advance(uidOf(pod), behaviour));
  }

  /** Writes the next step of a pod's behaviour, unless it was told another one meanwhile. */
  private async advance(uid: string, behaviour: PodBehaviour): Promise<void> {
    const known = this.played.get(uid);
    const pod = this.pods.values().find((one) => uidOf(one) === uid);
    if (this.stopping || !pod || known?.behaviour !== behaviour || pod.metadata?.deletionTimestamp) return;
    known.step += 1;
    const { status, nextAfterMs } = podStep(known.written ?? pod, behaviour, known.step, new Date());
    // The UID in a patch is a precondition: a pod of the same name that came later is left alone.
    const patch = { metadata: { uid }, status };
    const answer = await this.access.request<V1Pod>('PATCH', `${pathOf(pod)}/status`, patch, strategicMerge);
    if (answer.status === 404 || answer.status === 409) return;
    if (answer.status !== 200) throw unexpected(answer);
    known.written = answer.body;
    if (nextAfterMs === undefined) return;
    known.timer = setTimeout(() => this.enqueue(pod, () => this.advance(uid, behaviour)), nextAfterMs);
  }

  private behaviourOf(pod: V1Pod): PodBehaviour {
    const told = pod.metadata?.labels?.[behaviourKey] ?? pod.metadata?.annotations?.[behaviourKey];
    const named = podBehaviours.find((name) => name === told);
    if (named) return named;
    const rule = this.rules.find(({ match }) => match(pod));
    return rule?.behaviour ?? (isOwnedByJob(pod) ? 'completes' : 'ready');
  }

  private async finishDeletion(pod: V1Pod): Promise<void> {
    const finished = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    if (isOwnedByJob(pod) && !finished) {
      // The Job controller lets go of a pod only once its containers have ended.
      const { status } = podStep(pod, 'fails', 0, new Date());
      await this.access.request(
        'PATCH',
        `${pathOf(pod)}/status`,
        { metadata: { uid: uidOf(pod) }, status },
        strategicMerge,
      );
    }
    if (pod.metadata?.deletionGracePeriodSeconds === 0) return;
    const options = { gracePeriodSeconds: 0, preconditions: { uid: uidOf(pod) } };
    const answer = await this.access.request('DELETE', pathOf(pod), options);
    if (answer.status >= 400 && answer.status !== 404 && answer.status !== 409) throw unexpected(answer);
  }

  private forget(pod: V1Pod): void {
    clearTimeout(this.played.get(uidOf(pod))?.timer);
    this.played.delete(uidOf(pod));
  }

  private enqueue(pod: V1Pod, work: () => Promise<void>): void {
    const uid = uidOf(pod);
    const known = this.played.get(uid) ?? untouched();
    this.played.set(uid, known);
    known.queue = known.queue.then(() => this.attempt(`play ${pathOf(pod)}`, work));
  }

  private keepReady(node: V1Node): void {
    if (node.metadata?.name !== this.nodeName || !node.spec?.taints?.some(({ key }) => key.endsWith('/not-ready')))
      return;
    void this.attempt('make the node ready', () => this.createNode());
  }

  private async createNode(): Promise<void> {
    const path = `/api/v1/nodes/${this.nodeName}`;
    const metadata = {
      name: this.nodeName,
      labels: { 'kubernetes.io/hostname': this.nodeName, 'kubernetes.io/os': 'linux' },
    };
    const created = await this.access.request('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata });
    if (created.status !== 201 && created.status !== 409) throw unexpected(created);
    const patched = await this.access.request('PATCH', `${path}/status`, { status: nodeStatus() }, strategicMerge);
    // Admission taints every new node.
    const untainted = await this.access.request('PATCH', path, { spec: { taints: null } }, mergePatch);
    for (const answer of [patched, untainted]) if (answer.status !== 200) throw unexpected(answer);
  }

  /** The API server may be away or killed by the test; whatever failed is tried again until it works or `stop`. */
  private async attempt(what: string, work: () => Promise<void>): Promise<void> {
    for (let delayMs = 50; !this.stopping; delayMs = Math.min(delayMs * 2, 1000)) {
      try {
        await work();
        return;
      } catch (error) {
        this.log(`could not ${what}: ${error instanceof Error ? error.message : String(error)}`);
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
  }
}

function untouched(): Played {
  return { behaviour: 'ready', step: -1, timer: undefined, written: undefined, queue: Promise.resolve() };
}

function nodeStatus(): V1Node['status'] {
  const now = new Date();
  const room = { cpu: '1000', memory: '4Ti', pods: '10000', 'ephemeral-storage': '4Ti' };
  return {
    capacity: room,
    allocatable: room,
    conditions: [
      { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now, lastTransitionTime: now },
    ],
    addresses: [{ type: 'InternalIP', address: '10.244.255.1' }],
  };
}

function isOwnedByJob(pod: V1Pod): boolean {
  return pod.metadata?.ownerReferences?.some(({ kind, controller }) => kind === 'Job' && controller === true) ?? false;
}

function pathOf(pod: V1Pod): string {
  return `/api/v1/namespaces/${pod.metadata?.namespace ?? ''}/pods/${pod.metadata?.name ?? ''}`;
}

function unexpected(answer: { status: number; body: unknown }): Error {
  return new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
}
