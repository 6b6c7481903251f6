import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KINDS } from '../../kubernetes/kinds.js';
import {
  NOW,
  ago,
  condition,
  contextOf,
  crashing,
  objectJson,
  ownedBy,
  podJson,
  statusOf,
} from '../../../test/support/status-objects.js';
import { extractStatus, slimObject, statusDependencies } from './extract-status.js';

const kinds = fc.constantFrom(...KINDS.map(({ kind }) => kind));
const names = ['status', 'spec', 'metadata', 'conditions', 'containerStatuses', 'initContainerStatuses', 'state'];
const fields = ['type', 'reason', 'message', 'lastState', 'waiting', 'terminated', 'running', 'replicas', 'phase'];
const more = ['generation', 'observedGeneration', 'deletionTimestamp', 'finalizers', 'ownerReferences', 'labels'];
const paths = ['loadBalancer', 'ingress', 'ports', 'selector', 'podSelector', 'matchExpressions', 'strategy', 'active'];
const keys = fc.constantFrom(...names, ...fields, ...more, ...paths, 'rollingUpdate', 'maxUnavailable', 'startTime');
const leaves = fc.oneof(
  fc.constantFrom(
    'True',
    'False',
    'Failed',
    'Pending',
    'Running',
    'CrashLoopBackOff',
    '25%',
    ago(5),
    '',
    -1,
    0,
    3,
    1e300,
    null,
  ),
  fc.jsonValue({ maxDepth: 1 }),
);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 6, depthSize: 'medium' },
    leaves,
    fc.dictionary(keys, tie('json'), { maxKeys: 8 }),
    fc.array(tie('json'), { maxLength: 3 }),
  ),
}));

/** An object of the kind with some of its parts replaced by anything. */
const objects = fc.record({ metadata: json, spec: json, status: json }, { requiredKeys: [] });

const counts = fc.nat({ max: 6 });
const deployments = fc.record({
  generation: fc.nat({ max: 3 }),
  observedGeneration: fc.nat({ max: 3 }),
  desired: counts,
  available: counts,
  updated: counts,
  replicas: counts,
  maxUnavailable: counts,
});

describe('extractStatus', () => {
  it('knows every kind that is watched, and depends on watched kinds only', () => {
    for (const { kind } of KINDS) {
      expect(statusOf(kind, objectJson('x')).health).toBeDefined();
      for (const dependency of statusDependencies(kind)) expect(KINDS.map((each) => each.kind)).toContain(dependency);
    }
    expect(() => slimObject('Widget', {})).toThrow(TypeError);
  });

  it('never throws, whatever an API server sends, and changes nothing that it reads', () => {
    fc.assert(
      fc.property(kinds, objects, fc.array(objects, { maxLength: 3 }), (kind, raw, others) => {
        const before = JSON.stringify(raw);
        const surroundings = {
          children: { Pod: others, ReplicaSet: others, Job: others },
          pods: others,
        };
        const first = statusOf(kind, raw, surroundings);
        const again = statusOf(kind, raw, surroundings);
        expect(again).toEqual(first);
        expect(JSON.stringify(raw)).toBe(before);
        expect(JSON.parse(JSON.stringify(first))).toEqual(first);
        expect(first.reason ?? 'Ok').toMatch(/\S/);
        const next = statusOf(kind, raw, { ...surroundings, previous: first, now: NOW + 700_000 });
        expect(next.recheckAfterMs ?? 1).toBeGreaterThan(0);
      }),
      { numRuns: 400 },
    );
  });

  it('is stable: looking again at the same time changes nothing', () => {
    fc.assert(
      fc.property(kinds, objects, (kind, raw) => {
        const first = statusOf(kind, raw);
        const second = statusOf(kind, raw, { previous: first });
        expect(statusOf(kind, raw, { previous: second })).toEqual(second);
      }),
      { numRuns: 200 },
    );
  });

  it('never tells healthy of what is unobserved, or has fewer replicas than its budget allows', () => {
    fc.assert(
      fc.property(deployments, (each) => {
        const { health } = statusOf(
          'Deployment',
          objectJson(
            'web',
            { generation: each.generation },
            {
              spec: {
                replicas: each.desired,
                strategy: { rollingUpdate: { maxUnavailable: each.maxUnavailable, maxSurge: 1 } },
              },
              status: {
                observedGeneration: each.observedGeneration,
                replicas: each.replicas,
                updatedReplicas: each.updated,
                availableReplicas: each.available,
              },
            },
          ),
        );
        const enough =
          each.available >= each.desired - each.maxUnavailable && (each.desired === 0 || each.available > 0);
        expect(health === 'healthy').toBe(enough && each.observedGeneration >= each.generation);
      }),
    );
  });

  it('lets no environment, command, annotation, data or termination message through', () => {
    const pod = podJson('web-1', { ready: false, containers: [crashing('app', 1, 'Error', 2)] });
    const secret = { ...objectJson('keys', { annotations: { a: 'hunter2' } }), data: { a: 'hunter2' } };
    const refused = condition(
      'ReplicaFailure',
      'True',
      'FailedCreate',
      'args[0]: Invalid value: "hunter2": no, v: Invalid value: {"a":"hunter2"}',
    );
    const deployment = objectJson('web', {}, { spec: {}, status: { observedGeneration: 2, conditions: [refused] } });
    const told = [
      slimObject('Pod', pod),
      statusOf('Pod', pod),
      slimObject('Secret', secret),
      statusOf('Deployment', deployment, { children: { Pod: [pod] } }),
      statusOf('Deployment', deployment),
    ];
    expect(JSON.stringify(told)).not.toContain('hunter2');
    expect(JSON.stringify(told)).toContain('args[0]: Invalid value');
  });
});

describe('slimObject', () => {
  const long = 'x'.repeat(20_000);
  const many = <T>(make: (index: number) => T): T[] => Array.from({ length: 300 }, (_, index) => make(index));

  it('keeps a pod, with labels, in half a kibibyte, and others in less', () => {
    const hash = { 'app.kubernetes.io/name': 'web', 'pod-template-hash': '6d4cf56db6' };
    const pod = podJson('web-6d4cf56db6-x7k2p', { metadata: { labels: hash, ...ownedBy('ReplicaSet', 'web') } });
    expect(JSON.stringify(slimObject('Pod', pod)).length).toBeLessThan(700);
    for (const { kind } of KINDS) {
      expect(JSON.stringify(slimObject(kind, objectJson('web-6d4cf56db6'))).length).toBeLessThan(640);
    }
  });

  it('stays bounded however big the object is', () => {
    const container = {
      name: long,
      image: long,
      restartCount: 9,
      state: { waiting: { reason: 'ErrImagePull', message: long } },
    };
    const raw = {
      metadata: {
        name: long,
        annotations: { a: long },
        managedFields: many(() => ({ manager: long })),
        finalizers: many(() => long),
        labels: Object.fromEntries(many((index) => [`key-${index}`, long])),
      },
      spec: {
        schedule: long,
        containers: many(() => container),
        rules: many(() => ({ host: long })),
        ports: many(() => ({ port: 80, protocol: long })),
        externalIPs: many(() => long),
        selector: Object.fromEntries(many((index) => [`key-${index}`, long])),
      },
      status: {
        phase: long,
        message: long,
        containerStatuses: many(() => container),
        conditions: many(() => condition('Progressing', 'False', long, long)),
        loadBalancer: { ingress: many(() => ({ hostname: long, ports: many(() => ({ error: long })) })) },
      },
    };
    for (const { kind } of KINDS) {
      expect(JSON.stringify(slimObject(kind, raw)).length).toBeLessThan(16_384);
      expect(JSON.stringify(extractStatus(slimObject(kind, raw), contextOf())).length).toBeLessThan(8_192);
    }
  });

  it('keeps an object that was read again the same', () => {
    const pod = podJson('web-1');
    expect(slimObject('Pod', structuredClone(pod))).toEqual(slimObject('Pod', pod));
  });
});
