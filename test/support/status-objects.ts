import {
  extractStatus,
  matchesSelector,
  slimObject,
  type ExtractContext,
  type ExtractedStatus,
} from '../../src/watchers/status/extract-status.js';

type Json = Record<string, unknown>;

/** The time at which the objects below are looked at. */
export const NOW = Date.parse('2026-07-01T12:00:00Z');

/** RFC 3339 with whole seconds, as API servers write it. */
export function ago(seconds: number): string {
  return new Date(NOW - seconds * 1_000).toISOString().replace('.000Z', 'Z');
}

export function objectJson(name: string, metadata: Json = {}, rest: Json = {}): Json {
  return {
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      resourceVersion: '4711',
      generation: 2,
      creationTimestamp: ago(3_600),
      managedFields: [{ manager: 'kubectl', operation: 'Apply', fieldsV1: { 'f:spec': {} } }],
      ...metadata,
    },
    ...rest,
  };
}

export function ownedBy(kind: string, name: string): Json {
  return { ownerReferences: [{ apiVersion: 'x', kind, name, uid: `uid-${name}`, controller: true }] };
}

export function condition(type: string, status: string, reason?: string, message?: string, since = 60): Json {
  return { type, status, reason, message, lastTransitionTime: ago(since) };
}

/** A container status that runs and is ready; `over` replaces what differs. */
export function containerStatus(name: string, over: Json = {}): Json {
  return {
    name,
    image: `registry.example/${name}:1`,
    imageID: '',
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: ago(3_000) } },
    lastState: {},
    ...over,
  };
}

export function terminated(exitCode: number, reason: string, finishedAgo = 5, livedFor = 2): Json {
  const times = { startedAt: ago(finishedAgo + livedFor), finishedAt: ago(finishedAgo) };
  return { terminated: { exitCode, reason, message: 'password=hunter2', ...times } };
}

export interface PodOptions {
  readonly metadata?: Json;
  readonly spec?: Json;
  readonly status?: Json;
  readonly containers?: readonly Json[];
  readonly initContainers?: readonly Json[];
  readonly ready?: boolean;
}

/** A running, ready pod with one container; the secrets in it must never be seen again. */
export function podJson(name: string, options: PodOptions = {}): Json {
  const { containers = [containerStatus('app')], initContainers = [], ready = true } = options;
  const specOf = (each: Json): Json => ({ name: each.name, image: each.image, env: [{ name: 'P', value: 'hunter2' }] });
  const state = ready ? 'True' : 'False';
  return objectJson(
    name,
    { labels: { app: 'web' }, annotations: { note: 'hunter2' }, ...options.metadata },
    {
      spec: {
        nodeName: 'node-1',
        restartPolicy: 'Always',
        containers: containers.map(specOf),
        initContainers: initContainers.map(specOf),
        ...options.spec,
      },
      status: {
        phase: 'Running',
        startTime: ago(3_000),
        conditions: [
          condition('PodScheduled', 'True'),
          condition('Ready', state, ready ? undefined : 'ContainersNotReady', undefined, 2_900),
        ],
        containerStatuses: containers,
        initContainerStatuses: initContainers,
        ...options.status,
      },
    },
  );
}

/** A container that ended and is held back by the kubelet. */
export function crashing(name: string, exitCode: number, reason: string, restarts: number): Json {
  return containerStatus(name, {
    ready: false,
    restartCount: restarts,
    state: { waiting: { reason: 'CrashLoopBackOff', message: `back-off 40s restarting failed container=${name}` } },
    lastState: terminated(exitCode, reason),
  });
}

export function crashingPod(name: string, metadata: Json = {}): Json {
  return podJson(name, { metadata, ready: false, containers: [crashing('app', 1, 'Error', 5)] });
}

export interface Surroundings {
  readonly children?: Readonly<Record<string, readonly Json[]>>;
  readonly pods?: readonly Json[];
  readonly previous?: ExtractContext['previous'];
  readonly now?: number;
}

export function contextOf({ children = {}, pods = [], previous = null, now = NOW }: Surroundings = {}): ExtractContext {
  const slimPods = pods.map((pod) => slimObject('Pod', pod));
  return {
    now,
    previous,
    children: (kind) => (children[kind] ?? []).map((child) => slimObject(kind, child)),
    podsSelectedBy: (selector) => slimPods.filter((pod) => matchesSelector(selector, pod.labels)),
  };
}

/** Slims and extracts, the way the watchers do. */
export function statusOf(kind: string, json: Json, surroundings: Surroundings = {}): ExtractedStatus {
  return extractStatus(slimObject(kind, json), contextOf(surroundings));
}
