import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAX_JSON_BYTES } from './job.js';
import {
  SMALL_PAYLOAD_BYTES,
  canonicalSelector,
  endOfLanes,
  laneOf,
  lanePrefixOf,
  lanesOf,
  payloadBoundOf,
  requirementsOfLane,
  selects,
} from './lane.js';

const key = fc.constantFrom('gpu', 'region', 'example.com/tier', 'A_b.c');
const value = fc.constantFrom('', 'eu', 'us', 'v1.2', 'Z');
const requirement = fc.oneof(
  key,
  key.map((each) => `!${each}`),
  fc.tuple(key, fc.constantFrom('=', '==', '!='), value).map((parts) => parts.join('')),
  fc
    .tuple(key, fc.constantFrom('in', 'notin'), fc.array(value, { minLength: 1, maxLength: 4 }))
    .map(([each, operator, values]) => `${each} ${operator} (${values.join(', ')})`),
);
const requirements = fc.array(requirement, { maxLength: 5 });
const labels = fc.dictionary(key, value);

describe('canonicalSelector', () => {
  it('selects the same, and is the same for every order', () => {
    fc.assert(
      fc.property(requirements, labels, (parts, given) => {
        const text = canonicalSelector(parts.join(','));
        expect(canonicalSelector(parts.toReversed().join(' , '))).toBe(text);
        expect(canonicalSelector(text)).toBe(text);
        expect(selects(text, given)).toBe(parts.every((part) => selects(part, given)));
      }),
    );
  });

  it('names what it cannot read', () => {
    expect(() => canonicalSelector('gpu=true,region ~ eu')).toThrow('cannot read "region ~ eu"');
  });
});

describe('selects', () => {
  it('takes nothing from the prototype for a label', () => {
    expect(selects('constructor', {})).toBe(false);
    expect(selects('!constructor', {})).toBe(true);
  });
});

describe('a lane', () => {
  it('lies between the ends of its pool and tenant, and of no other', () => {
    const tenant = fc.constantFrom('a', 'a-b', 'ab', 'b', 'default');
    const pool = fc.constantFrom('tenant' as const, 'platform' as const);
    const bytes = fc.constantFrom(0, SMALL_PAYLOAD_BYTES, SMALL_PAYLOAD_BYTES + 1, MAX_JSON_BYTES);
    fc.assert(
      fc.property(pool, tenant, requirements, bytes, tenant, (ofPool, tenantId, parts, payloadBytes, other) => {
        const requires = canonicalSelector(parts.join(','));
        const lane = laneOf(ofPool, tenantId, requires, payloadBytes);
        expect(requirementsOfLane(lane)).toBe(requires);
        expect(lanePrefixOf(lane)).toBe(lanesOf(ofPool, tenantId));
        expect(payloadBoundOf(lane)).toBe(payloadBytes > SMALL_PAYLOAD_BYTES ? MAX_JSON_BYTES : SMALL_PAYLOAD_BYTES);
        const prefix = lanesOf('tenant', other);
        const isWithin = lane >= prefix && lane < endOfLanes(prefix);
        expect(isWithin).toBe(ofPool === 'tenant' && tenantId === other);
      }),
    );
  });
});
