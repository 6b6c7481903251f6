import { z } from 'zod';

const LABEL = '[a-z0-9]([a-z0-9-]*[a-z0-9])?';

/** RFC 1123 label: names of our own objects, tenants and Kubernetes namespaces. */
export const dnsLabel = z
  .string()
  .max(63, 'expected at most 63 characters')
  .regex(new RegExp(`^${LABEL}$`), 'expected lower-case letters, digits and "-", with a letter or digit at both ends');
