import { Lexer, parseAllDocuments, visit } from 'yaml';
import { AppError, type FieldError } from '../errors/app-error.js';

const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 32;

/**
 * The one YAML or JSON document of a kubeconfig as plain data. Aliases, tags, duplicate keys and deep nesting are
 * refused: kubectl writes none of them, and each makes the text mean something else than a reader sees.
 *
 * @throws AppError `request.invalid`
 */
export function parseKubeconfigDocument(text: string): unknown {
  const fail = (message: string): never => {
    throw AppError.invalid([{ path: '', message }], `the kubeconfig cannot be read: ${message}`);
  };
  if (Buffer.byteLength(text) > MAX_BYTES) return fail(`it is larger than ${MAX_BYTES} bytes`);
  if (isDeep(text)) return fail(`it is nested deeper than ${MAX_DEPTH} levels`);
  const documents = [...parseAllDocuments(text, { prettyErrors: false, logLevel: 'silent', stringKeys: true })];
  const [document] = documents;
  if (!document) return fail('it is empty');
  if (documents.length > 1) return fail('it holds several documents');
  const [problem] = [...document.errors, ...document.warnings];
  // Without the parser's own words, which quote the text.
  if (problem) return fail(`it is not valid YAML (${problem.code.toLowerCase().replaceAll('_', ' ')})`);
  let odd: string | undefined;
  visit(document, {
    Alias: () => void (odd = 'an alias'),
    Node: (_key, node) => {
      if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) odd = 'a tag';
      if ('anchor' in node && node.anchor) odd = 'an anchor';
    },
  });
  if (odd !== undefined) return fail(`it uses ${odd}; write the value out`);
  return document.toJS({ maxAliasCount: 0 });
}

/** On the tokens, because composing deep text is what costs. */
function isDeep(text: string): boolean {
  let flow = 0;
  let inline = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '{' || token === '[') flow += 1;
    else if (token === '}' || token === ']') flow -= 1;
    else if (token === '-' || token === '?' || token === ':') inline += 1;
    else if (token.startsWith('\n')) inline = 0;
    if (flow > MAX_DEPTH || (flow === 0 && inline > MAX_DEPTH)) return true;
  }
  return false;
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
