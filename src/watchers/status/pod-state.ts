import { readCondition, type Condition } from './conditions.js';
import { readCount, readMessage, readObject, readObjects, readText, readTime, type JsonObject } from './json-reader.js';

/** How a container ended. Its termination message is never kept: it is the application's own text. */
export interface ContainerEnd {
  /** `OOMKilled`, `Error`, `Completed` … */
  readonly reason: string | null;
  readonly exitCode: number | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

/** A container that waits, has ended or was restarted. One that runs for the first time leaves nothing to say. */
export interface ContainerTrouble {
  readonly name: string;
  readonly role: 'container' | 'init container' | 'sidecar';
  readonly ready: boolean;
  readonly restarts: number;
  /** state.waiting.reason; null when it does not wait. */
  readonly waiting: string | null;
  /** Only of reasons whose message never quotes the container's command or environment. */
  readonly message: string | null;
  readonly image: string | null;
  /** state.running.startedAt; null when it does not run. */
  readonly runningSince: number | null;
  /** state.terminated, the container's present end. */
  readonly ended: ContainerEnd | null;
  /** lastState.terminated, the end of its life before. */
  readonly lastEnd: ContainerEnd | null;
}

/** What is kept of a pod. */
export interface PodState {
  readonly phase: string;
  /** status.reason, such as Evicted or NodeLost. */
  readonly reason: string | null;
  readonly message: string | null;
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never';
  readonly node: string | null;
  readonly ready: boolean;
  /** When `ready` last changed. */
  readonly readySince: number | null;
  /** The reason of Ready=False, such as ReadinessGatesNotReady. */
  readonly notReadyReason: string | null;
  /** PodScheduled=False, with its reason; null once scheduled. */
  readonly unscheduled: Condition | null;
  readonly startedAt: number | null;
  readonly containers: number;
  readonly readyContainers: number;
  readonly restarts: number;
  /** At most 3, the worst first. */
  readonly trouble: readonly ContainerTrouble[];
}

/** A waiting container's reasons that are part of every start. */
const STARTING = new Set(['ContainerCreating', 'PodInitializing']);
const PULL_REASONS = /^(ErrImage|ImagePull|InvalidImageName|ImageInspect|RegistryUnavailable|SignatureValidation)/;
const MESSAGES_KEPT = new Set(['CreateContainerConfigError']);
const NO_TROUBLE: readonly ContainerTrouble[] = Object.freeze([]);

export function isStarting(waiting: string): boolean {
  return STARTING.has(waiting);
}

export function isImageReason(waiting: string): boolean {
  return PULL_REASONS.test(waiting);
}

export function slimPod(raw: JsonObject): PodState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  const ready = readCondition(status, 'Ready');
  const scheduled = readCondition(status, 'PodScheduled');
  const containers = readObjects(status.containerStatuses);
  const initContainers = readObjects(status.initContainerStatuses);
  const trouble = [
    ...initContainers.map((each) => slimContainer(each, roleOfInit(spec, each.name))),
    ...containers.map((each) => slimContainer(each, 'container')),
  ].filter((each) => each !== null);
  trouble.sort((a, b) => severity(b) - severity(a));
  return {
    phase: readText(status.phase) ?? 'Pending',
    reason: readText(status.reason, 100),
    message: readMessage(status.message),
    restartPolicy: spec.restartPolicy === 'Never' || spec.restartPolicy === 'OnFailure' ? spec.restartPolicy : 'Always',
    node: readText(spec.nodeName),
    ready: ready?.status === 'True',
    readySince: ready?.since ?? null,
    notReadyReason: ready === null || ready.status === 'True' ? null : ready.reason,
    unscheduled: scheduled === null || scheduled.status === 'True' ? null : scheduled,
    startedAt: readTime(status.startTime),
    containers: readObjects(spec.containers).length,
    readyContainers: containers.filter((each) => each.ready === true).length,
    restarts: [...containers, ...initContainers].reduce((sum, each) => sum + (readCount(each.restartCount) ?? 0), 0),
    trouble: trouble.length === 0 ? NO_TROUBLE : trouble.slice(0, 3),
  };
}

function roleOfInit(spec: JsonObject, name: unknown): ContainerTrouble['role'] {
  const container = readObjects(spec.initContainers).find((each) => each.name === name);
  return container?.restartPolicy === 'Always' ? 'sidecar' : 'init container';
}

function slimContainer(raw: JsonObject, role: ContainerTrouble['role']): ContainerTrouble | null {
  const state = readObject(raw.state);
  const waiting = readText(readObject(state.waiting).reason, 60);
  const ended = readEnd(state.terminated);
  const lastEnd = readEnd(readObject(raw.lastState).terminated);
  const doneInit = role === 'init container' && ended?.exitCode === 0;
  if (doneInit || (ended === null && lastEnd === null && (waiting === null || isStarting(waiting)))) return null;
  return {
    name: readText(raw.name, 63) ?? '',
    role,
    ready: raw.ready === true,
    restarts: readCount(raw.restartCount) ?? 0,
    waiting,
    message: keepsMessage(waiting) ? readMessage(readObject(state.waiting).message, 160) : null,
    image: waiting !== null && isImageReason(waiting) ? readText(raw.image, 160) : null,
    runningSince: readTime(readObject(state.running).startedAt),
    ended,
    lastEnd,
  };
}

/** Errors of creating or running a container quote its command line; those of images and references do not. */
function keepsMessage(waiting: string | null): boolean {
  return waiting !== null && (MESSAGES_KEPT.has(waiting) || isImageReason(waiting));
}

function readEnd(value: unknown): ContainerEnd | null {
  if (typeof value !== 'object' || value === null) return null;
  const raw = readObject(value);
  return {
    reason: readText(raw.reason, 60),
    exitCode: readCount(raw.exitCode),
    startedAt: readTime(raw.startedAt),
    finishedAt: readTime(raw.finishedAt),
  };
}

function severity(trouble: ContainerTrouble): number {
  if (trouble.waiting !== null && !isStarting(trouble.waiting)) return 4;
  if (trouble.ended !== null && trouble.ended.exitCode !== 0) return 3;
  return trouble.lastEnd === null ? 1 : 2;
}
