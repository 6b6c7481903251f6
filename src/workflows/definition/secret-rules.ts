import { SEALED_MARKER } from '../../sealing/index.js';
import { isJsonObject, type JsonObject } from './json-structure.js';
import type { Violation } from './violation.js';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const DATA_KEY = /^[-._a-zA-Z0-9]{1,253}$/;

/**
 * `data` and `stringData` of a Secret. Checked here, because an API server that refuses a Secret repeats its values.
 * Messages name keys, never values. The marker of a sealed value passes: whether one is stored is asked when sealing.
 */
export function checkSecretData(secret: JsonObject): Violation[] {
  return [
    ...checkMap(secret, 'data', (value) => {
      // Kubernetes' decoder skips line ends.
      return BASE64.test(value.replace(/[\r\n]/g, '')) ? null : 'is not base64; put plain text under stringData';
    }),
    ...checkMap(secret, 'stringData', () => null),
  ];
}

function checkMap(secret: JsonObject, field: string, check: (value: string) => string | null): Violation[] {
  const map = secret[field];
  if (map === undefined || map === null) return [];
  if (!isJsonObject(map)) return [{ path: [field], message: 'expected an object of texts' }];
  return Object.entries(map).flatMap(([key, value]): Violation[] => {
    if (!DATA_KEY.test(key)) {
      return [{ path: [field, key], message: 'is not a key; expected letters, digits, "-", "_" and "."' }];
    }
    if (value === SEALED_MARKER) return [];
    const problem = typeof value === 'string' ? check(value) : 'expected a text';
    return problem === null ? [] : [{ path: [field, key], message: problem }];
  });
}
