/** A complaint of a schema: what zod and Standard Schema have in common. */
export interface Issue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

export type PlacedIssue = Issue & { readonly path: readonly PropertyKey[] };

/**
 * One issue for each wrong field. Of zod's own it takes apart two kinds: it tells all unknown fields of an object at
 * once, at the object, and of a value that is none of several things only that.
 */
export function placeIssues(issues: readonly Issue[]): PlacedIssue[] {
  return issues.flatMap((issue) => {
    const path = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment));
    const likeliest = likeliestOf(issue);
    if (likeliest) return placeIssues(likeliest).map((inner) => ({ ...inner, path: [...path, ...inner.path] }));
    const unknownKeys = 'keys' in issue && Array.isArray(issue.keys) ? (issue.keys as string[]) : [];
    if (unknownKeys.length === 0) return [{ message: issue.message, path }];
    return unknownKeys.map((key) => ({ message: 'is not a field', path: [...path, key] }));
  });
}

/**
 * What is wrong with a value as the one of several things that it comes closest to: complaints deepest inside, or else
 * not about its very type. Undefined for other complaints, and where it is like none of them.
 */
function likeliestOf(issue: Issue): readonly Issue[] | undefined {
  if (!('code' in issue && issue.code === 'invalid_union' && 'errors' in issue)) return undefined;
  const branches = (issue.errors as ReadonlyArray<readonly Issue[]>).filter((branch) => branch.length > 0);
  const [best] = branches.toSorted((a, b) => closeness(b) - closeness(a));
  return best && closeness(best) > 0 ? best : undefined;
}

/** How far a value came: 0 if it is of another type, most where only something inside of it is wrong. */
function closeness(complaints: readonly Issue[]): number {
  const depth = Math.min(...complaints.map(({ path = [] }) => path.length));
  if (depth > 0) return depth + 2;
  const codes = new Set(complaints.map((each) => ('code' in each ? each.code : undefined)));
  if (codes.has('invalid_type')) return 0;
  // None of the values listed: it may be of another type all the same.
  return codes.has('invalid_value') ? 1 : 2;
}

/** `nodes[2].manifest.kind`; keys that are not identifiers are quoted: `labels["a/b"]`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const name = String(key);
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${text}[${JSON.stringify(name)}]`;
    return text === '' ? name : `${text}.${name}`;
  }, '');
}
