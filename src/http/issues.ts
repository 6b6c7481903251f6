/** A complaint of a schema: what zod and Standard Schema have in common. */
export interface Issue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

export type PlacedIssue = Issue & { readonly path: readonly PropertyKey[] };

/** One issue for each wrong field: zod tells all unknown fields of an object at once, at the object. */
export function placeIssues(issues: readonly Issue[]): PlacedIssue[] {
  return issues.flatMap((issue) => {
    const path = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment));
    const unknownKeys = 'keys' in issue && Array.isArray(issue.keys) ? (issue.keys as string[]) : [];
    if (unknownKeys.length === 0) return [{ message: issue.message, path }];
    return unknownKeys.map((key) => ({ message: 'is not a field', path: [...path, key] }));
  });
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
