import { CST, Lexer, LineCounter, parseAllDocuments, visit, type Document, type ScalarTag, type Tags } from 'yaml';

/** Containers within each other, the outermost counted. */
const MAX_DEPTH = 64;

/**
 * Tokens of one text: with this many the library needs a second of hostile text, and it cannot be interrupted.
 * Manifests have one in about 2.5 bytes, long texts far fewer.
 */
export const MAX_TOKENS = 250_000;

/** One document of a YAML stream as plain data, with a way to say where in the text something stands. */
export interface YamlDocument {
  readonly value: unknown;
  /** Line of the value at this path, or of the nearest thing around it; lines count from 1 over the whole text. */
  lineOf(path: ReadonlyArray<string | number>): number;
}

/** Text that is not YAML, or uses what manifests never need and attackers do. */
export class YamlError extends Error {
  constructor(
    message: string,
    readonly line: number,
  ) {
    super(message);
    this.name = 'YamlError';
  }
}

/**
 * Reads a stream of YAML documents as kubectl does (YAML 1.1 scalars: `0644` is octal, `yes` is true), empty documents
 * left out. Anchors, aliases, tags, merge keys, duplicate keys and nesting deeper than 64 are refused.
 *
 * @throws YamlError at the first such place.
 */
export function parseStrictYaml(text: string): YamlDocument[] {
  const lines = new LineCounter();
  refuseHostileTokens(text);
  const parsed = parseAllDocuments(text, {
    version: '1.1',
    schema: 'yaml-1.1',
    customTags,
    // The library compares each key with all others; `refuseKeys` needs one look at each.
    uniqueKeys: false,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
  });
  if (!Array.isArray(parsed)) return [];
  return parsed.flatMap((document: Document.Parsed) => {
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) throw new YamlError(withoutSource(problem.message), lines.linePos(problem.pos[0]).line);
    refuseKeys(document, lines);
    const value: unknown = document.toJS();
    if (value === null || value === undefined) return [];
    return [{ value, lineOf: (path: ReadonlyArray<string | number>) => lineOf(document, lines, path) }];
  });
}

/** The library quotes the text, which may be a Secret, after a colon or in quotes. */
function withoutSource(message: string): string {
  return `is not valid YAML: ${message.split(/[:"'`]/, 1)[0]?.trim()}`;
}

/** Of YAML 1.1's scalars those that kubectl's parser knows too, and the octal numbers of YAML 1.2 that it takes as well. */
function customTags(tags: Tags): Tags {
  const known = tags.filter(
    (tag) => typeof tag === 'string' || (tag.format !== 'TIME' && !UNKNOWN_TO_KUBECTL.has(tag.tag)),
  );
  return [OCTAL_1_2, ...known];
}

const UNKNOWN_TO_KUBECTL: ReadonlySet<string> = new Set(
  ['timestamp', 'merge', 'binary', 'omap', 'pairs', 'set'].map((name) => `tag:yaml.org,2002:${name}`),
);

const OCTAL_1_2: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^0o[0-7]+$/,
  resolve: (source) => Number.parseInt(source.slice(2), 8),
};

/** On the tokens, before anything is composed: composing deep or self-referring text is what costs. */
function refuseHostileTokens(text: string): void {
  let line = 1;
  let flowDepth = 0;
  let inlineDepth = 0;
  let tokens = 0;
  for (const token of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > MAX_TOKENS) throw new YamlError(`has more than ${MAX_TOKENS} tokens; send a part, or JSON`, line);
    switch (CST.tokenType(token)) {
      case 'anchor':
      case 'alias':
        throw new YamlError('anchors and aliases are not supported; write the value out', line);
      case 'tag':
        throw new YamlError('tags are not supported; leave it out', line);
      case 'directive-line':
        throw new YamlError('directives are not supported; leave it out', line);
      case 'flow-map-start':
      case 'flow-seq-start':
        flowDepth += 1;
        break;
      case 'flow-map-end':
      case 'flow-seq-end':
        flowDepth -= 1;
        if (flowDepth < 0) throw new YamlError('is not valid YAML: a bracket closes nothing', line);
        break;
      case 'seq-item-ind':
      case 'explicit-key-ind':
      case 'map-value-ind':
        inlineDepth += 1;
        break;
      case 'newline':
        inlineDepth = 0;
        break;
      default:
    }
    if (flowDepth > MAX_DEPTH || (flowDepth === 0 && inlineDepth > MAX_DEPTH)) {
      throw new YamlError(`is nested deeper than ${MAX_DEPTH} levels`, line);
    }
    for (let at = token.indexOf('\n'); at >= 0; at = token.indexOf('\n', at + 1)) line += 1;
  }
}

function refuseKeys(document: Document.Parsed, lines: LineCounter): void {
  visit(document, {
    Map: (_, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const scalar = key as { value?: unknown; range?: readonly number[] | null };
        const line = lines.linePos(scalar.range?.[0] ?? 0).line;
        const name = keyName(scalar.value);
        if (name === undefined) throw new YamlError('a key has to be a text', line);
        if (name === '<<') throw new YamlError('merge keys are not supported; write the values out', line);
        if (seen.has(name)) throw new YamlError(`the key ${JSON.stringify(name.slice(0, 63))} stands twice`, line);
        seen.add(name);
      }
    },
  });
}

/** Numbers and booleans become the text that Kubernetes reads. */
function keyName(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function lineOf(document: Document.Parsed, lines: LineCounter, path: ReadonlyArray<string | number>): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true) as { range?: readonly number[] | null } | undefined;
    if (node?.range) return lines.linePos(node.range[0] ?? 0).line;
  }
  return lines.linePos(document.contents?.range?.[0] ?? document.range[0]).line;
}
