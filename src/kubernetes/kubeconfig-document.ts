import { AppError, type FieldError } from '../errors/app-error.js';
import { YamlError, parseStrictYaml } from '../runtime/strict-yaml.js';

const MAX_BYTES = 1024 * 1024;

/**
 * The one YAML or JSON document of a kubeconfig as plain data. What makes a text mean something else than a reader sees
 * is refused: aliases, tags, duplicate keys. kubectl writes none of them.
 *
 * @throws AppError `request.invalid`
 */
export function parseKubeconfigDocument(text: string): unknown {
  const fail = (message: string): never => {
    throw AppError.invalid([{ path: '', message }], `the kubeconfig cannot be read: ${message}`);
  };
  if (Buffer.byteLength(text) > MAX_BYTES) return fail(`it is larger than ${MAX_BYTES} bytes`);
  try {
    const [document, another] = parseStrictYaml(text);
    if (!document) return fail('it is empty');
    return another ? fail('it holds several documents') : document.value;
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    return fail(`line ${error.line}: ${error.message}`);
  }
}

/** For the fields' paths: `users[0].user.exec`. */
export function joinPath(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}

/** Adds an error for whatever is no text; '' and null count as absent, as kubectl writes them. */
export function textAt(
  holder: Readonly<Record<string, unknown>>,
  key: string,
  path: string,
  errors: FieldError[],
): string | undefined {
  const value = Object.hasOwn(holder, key) ? holder[key] : undefined;
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  errors.push({ path: joinPath(path, key), message: 'has to be a text' });
  return undefined;
}
