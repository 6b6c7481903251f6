/**
 * What Kubernetes accepts as names and labels.
 *
 * Sources: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and ../labels/, RFC 1035, RFC 1123.
 */
const LABEL_1123 = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const DNS_1123_SUBDOMAIN = new RegExp(`^${LABEL_1123}(?:\\.${LABEL_1123})*$`);
const DNS_1035_LABEL = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

interface NameRule {
  readonly pattern: RegExp;
  readonly expected: string;
  readonly maxLength: number;
}

const SUBDOMAIN: NameRule = {
  pattern: DNS_1123_SUBDOMAIN,
  expected: 'lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit (RFC 1123)',
  maxLength: 253,
};

const RULES: ReadonlyMap<string, NameRule> = new Map([
  [
    'Service',
    {
      pattern: DNS_1035_LABEL,
      expected: 'lower-case letters, digits and "-", beginning with a letter and not ending with "-" (RFC 1035)',
      maxLength: 63,
    },
  ],
  // Its Jobs are called after it, with 11 characters more.
  ['CronJob', { ...SUBDOMAIN, maxLength: 52 }],
  // Its name is the value of a label on its pods.
  ['Job', { ...SUBDOMAIN, maxLength: 63 }],
]);

/** What is wrong with the name of an object of this kind, or null. */
export function problemOfObjectName(kind: string, name: string): string | null {
  const rule = RULES.get(kind) ?? SUBDOMAIN;
  if (name.length > rule.maxLength) {
    return `is ${name.length} characters long; the name of a ${kind} has at most ${rule.maxLength}`;
  }
  return rule.pattern.test(name) ? null : `is not a name of a ${kind}; expected ${rule.expected}`;
}

/** What is wrong with the key of a label or annotation, or null: `name` or `prefix/name`. */
export function problemOfQualifiedName(key: string): string | null {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? null : key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (prefix !== null && (prefix.length > 253 || !DNS_1123_SUBDOMAIN.test(prefix))) {
    return 'has a prefix that is not a DNS name of lower-case letters, digits, "-" and "."';
  }
  return name.length <= 63 && QUALIFIED_NAME.test(name)
    ? null
    : 'is not a key; expected 1 to 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit, optionally after a DNS name and "/"';
}

/** What is wrong with the value of a label, or null. */
export function problemOfLabelValue(value: string): string | null {
  return value === '' || (value.length <= 63 && QUALIFIED_NAME.test(value))
    ? null
    : 'is not a label value; expected at most 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit';
}
