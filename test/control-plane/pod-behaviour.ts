import type { V1ContainerState, V1ContainerStatus, V1Pod, V1PodCondition, V1PodStatus } from '@kubernetes/client-node';

export const podBehaviours = [
  'ready',
  'not-ready',
  'pending',
  'image-pull-back-off',
  'crash-loop',
  'oom-killed',
  'completes',
  'fails',
] as const;

/** How a played pod behaves from now on. */
export type PodBehaviour = (typeof podBehaviours)[number];

/** Label or annotation that sets a pod's behaviour: `kubectl label pod web-0 crowsnest.test/behave=crash-loop`. */
export const behaviourKey = 'crowsnest.test/behave';

export interface PodStep {
  readonly status: V1PodStatus;
  /** Time until the next step of this behaviour; absent when it stays as it is. */
  readonly nextAfterMs?: number;
}

interface Play {
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly ready: boolean;
  readonly state: V1ContainerState;
  readonly lastState?: V1ContainerState;
  /** How many restarts this step adds to those the container already had. */
  readonly restarts: number;
  readonly nextAfterMs?: number;
}

/** The status a kubelet would write at the given step (0, 1, 2 …) of a behaviour. */
export function podStep(pod: V1Pod, behaviour: PodBehaviour, step: number, now: Date): PodStep {
  const play = plays[behaviour](step, now);
  const containers = (pod.spec?.containers ?? []).map((container) => containerStatus(pod, container, play));
  const begun = { ...play, ready: true, state: ended(now, 0, 'Completed'), restarts: 0 };
  const initContainers = (pod.spec?.initContainers ?? []).map((container) => containerStatus(pod, container, begun));
  const notReady = play.phase === 'Succeeded' ? 'PodCompleted' : 'ContainersNotReady';
  const status: V1PodStatus = {
    phase: play.phase,
    hostIP: '10.244.255.1',
    podIP: podAddress(pod),
    podIPs: [{ ip: podAddress(pod) }],
    startTime: pod.status?.startTime ?? now,
    containerStatuses: containers,
    ...(initContainers.length > 0 ? { initContainerStatuses: initContainers } : {}),
    conditions: [
      condition(pod, 'Initialized', true, now, play.phase === 'Succeeded' ? 'PodCompleted' : undefined),
      condition(pod, 'ContainersReady', play.ready, now, play.ready ? undefined : notReady),
      condition(pod, 'Ready', play.ready, now, play.ready ? undefined : notReady),
    ],
  };
  return play.nextAfterMs === undefined ? { status } : { status, nextAfterMs: play.nextAfterMs };
}

const plays: Record<PodBehaviour, (step: number, now: Date) => Play> = {
  ready: (_, now) => ({ phase: 'Running', ready: true, state: { running: { startedAt: now } }, restarts: 0 }),
  'not-ready': (_, now) => ({ phase: 'Running', ready: false, state: { running: { startedAt: now } }, restarts: 0 }),
  pending: () => ({ phase: 'Pending', ready: false, state: { waiting: { reason: 'ContainerCreating' } }, restarts: 0 }),
  'image-pull-back-off': (step) => ({
    phase: 'Pending',
    ready: false,
    state: { waiting: { reason: step === 0 ? 'ErrImagePull' : 'ImagePullBackOff', message: pullMessage } },
    restarts: 0,
    ...(step === 0 ? { nextAfterMs: 100 } : {}),
  }),
  'crash-loop': (step, now) => crash(step, ended(now, 1, 'Error')),
  'oom-killed': (step, now) => crash(step, ended(now, 137, 'OOMKilled')),
  completes: (step, now) =>
    step === 0
      ? { ...plays.ready(step, now), nextAfterMs: 100 }
      : { phase: 'Succeeded', ready: false, state: ended(now, 0, 'Completed'), restarts: 0 },
  fails: (_, now) => ({ phase: 'Failed', ready: false, state: ended(now, 1, 'Error'), restarts: 0 }),
};

const pullMessage = 'the played kubelet has no such image';

/** First the container's end is seen, then the back-off, with one restart more each time and ever longer pauses. */
function crash(step: number, end: V1ContainerState): Play {
  const shared = { phase: 'Running', ready: false, nextAfterMs: Math.min(200 * 2 ** step, 10_000) } as const;
  if (step === 0) return { ...shared, state: end, restarts: 0 };
  const message = 'back-off restarting failed container';
  return { ...shared, state: { waiting: { reason: 'CrashLoopBackOff', message } }, lastState: end, restarts: 1 };
}

function ended(now: Date, exitCode: number, reason: string): V1ContainerState {
  return { terminated: { exitCode, reason, startedAt: now, finishedAt: now } };
}

function containerStatus(pod: V1Pod, container: { name: string; image?: string }, play: Play): V1ContainerStatus {
  const known = pod.status?.containerStatuses?.find(({ name }) => name === container.name);
  return {
    name: container.name,
    image: container.image ?? '',
    imageID: '',
    containerID: play.phase === 'Pending' ? '' : `played://${pod.metadata?.uid ?? ''}/${container.name}`,
    ready: play.ready,
    started: play.state.running !== undefined,
    restartCount: (known?.restartCount ?? 0) + play.restarts,
    state: play.state,
    ...(play.lastState ? { lastState: play.lastState } : {}),
  };
}

function condition(pod: V1Pod, type: string, value: boolean, now: Date, reason?: string): V1PodCondition {
  const status = value ? 'True' : 'False';
  const known = pod.status?.conditions?.find((one) => one.type === type);
  // Explicit nulls: a strategic merge patch otherwise keeps the reason of an earlier step.
  const told = { reason: reason ?? null, message: reason ? 'played' : null } as { reason?: string; message?: string };
  const lastTransitionTime = known?.status === status ? (known.lastTransitionTime ?? now) : now;
  return { type, status, lastTransitionTime, ...told };
}

/** An address in 10.244.0.0/16 derived from the pod's UID. */
function podAddress(pod: V1Pod): string {
  const digits = (pod.metadata?.uid ?? '').replaceAll('-', '');
  const third = Number.parseInt(digits.slice(0, 2) || '0', 16) % 250;
  const fourth = (Number.parseInt(digits.slice(2, 4) || '0', 16) % 250) + 1;
  return `10.244.${third}.${fourth}`;
}
