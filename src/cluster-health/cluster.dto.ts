import { z } from 'zod';
import { dnsLabel } from '../http/dns-name.js';
import { labelSelectorQuery } from '../http/label-selector.js';
import { labelsSchema } from '../http/labels.js';
import { pageQuery } from '../http/page.js';

const MAX_TEXT = 1024 * 1024;
const MAX_PEM = 64 * 1024;

const name = dnsLabel.meta({ description: 'DNS label, unique within the tenant.', example: 'production' });
const labels = labelsSchema.meta({ description: 'Labels as in Kubernetes.', example: { env: 'production' } });
const version = z.int().min(1).meta({ description: '`version` of the cluster that was read before.', example: 1 });
const server = z
  .string()
  .max(2_048)
  .meta({ description: 'URL of the API server, https only.', example: 'https://kubernetes.example:6443' });
const caData = z.string().max(MAX_PEM).meta({
  description: "PEM bundle, or its base64, that the server's certificate chains to; absent: public authorities.",
});
const tlsServerName = z
  .string()
  .max(253)
  .meta({ description: "Name in the server's certificate when it is not the URL's host." });
const bearer = z
  .string()
  .min(1)
  .max(16_384)
  .meta({ description: 'Bearer token. In no answer.', example: 'eyJhbGciOi…' });
const certificateData = z.string().max(MAX_PEM).meta({ description: 'PEM, or its base64, of the client certificate.' });
const keyData = z.string().max(MAX_PEM).meta({ description: 'PEM, or its base64, of its private key. In no answer.' });
const namespaces = z
  .array(dnsLabel)
  .min(1)
  .max(100)
  .refine((list) => new Set(list).size === list.length, 'a namespace is named twice')
  .meta({ description: 'The only namespaces to use, for credentials without rights to the whole cluster.' });

const kubeconfig = z
  .strictObject({
    text: z.string().min(1).max(MAX_TEXT).meta({
      description:
        'Output of `kubectl config view --raw --flatten --minify`. Only data and tokens: nothing is executed or read.',
    }),
    context: z.string().max(253).optional().meta({ description: 'Context to use; absent: `current-context`.' }),
  })
  .meta({ description: 'A kubeconfig with everything in it.' });

export const CreateCluster = z
  .strictObject({
    name,
    labels: labels.optional(),
    tenantId: dnsLabel.optional().meta({ description: 'Only for callers of all tenants; absent: `default`.' }),
    namespaces: namespaces.nullish(),
    kubeconfig: kubeconfig.optional(),
    token: z
      .strictObject({ server, caData: caData.optional(), tlsServerName: tlsServerName.optional(), token: bearer })
      .optional(),
    clientCertificate: z
      .strictObject({
        server,
        caData: caData.optional(),
        tlsServerName: tlsServerName.optional(),
        certificateData,
        keyData,
      })
      .optional(),
    inCluster: z.literal(true).optional().meta({ description: "The service's own cluster, by its pod's account." }),
  })
  .superRefine(exactlyOneAccess)
  .meta({
    id: 'CreateCluster',
    description: 'Exactly one of kubeconfig, token, clientCertificate and inCluster.',
    example: {
      name: 'production',
      labels: { env: 'production' },
      token: { server: 'https://kubernetes.example:6443', token: 'a-service-account-token' },
    },
  });
export type CreateCluster = z.infer<typeof CreateCluster>;

/** Query of the POST, for a body that is the kubeconfig itself. */
export const CreateClusterQuery = z.strictObject({
  name: dnsLabel.optional().meta({ description: 'Of the cluster, for a body that is a kubeconfig.' }),
  context: z.string().max(253).optional(),
  namespaces: commaSeparated(namespaces).optional().meta({ description: 'Separated by commas.' }),
  tenantId: dnsLabel.optional(),
});
export type CreateClusterQuery = z.infer<typeof CreateClusterQuery>;

export const UpdateCluster = z
  .strictObject({
    version,
    name: name.optional(),
    labels: labels.optional(),
    namespaces: namespaces.nullable().optional(),
    server: server.optional(),
    caData: caData.nullable().optional(),
    tlsServerName: tlsServerName.nullable().optional(),
    token: bearer.optional(),
    clientCertificate: z.strictObject({ certificateData, keyData }).optional(),
  })
  .refine(({ token, clientCertificate }) => token === undefined || clientCertificate === undefined, {
    path: ['clientCertificate'],
    message: 'give a token or a client certificate, not both',
  })
  .meta({
    id: 'UpdateCluster',
    description:
      'What is absent stays. A change of server, caData or tlsServerName needs the role admin and the credential again: ' +
      'token or clientCertificate.',
    example: { version: 1, labels: { env: 'production', team: 'payments' } },
  });
export type UpdateCluster = z.infer<typeof UpdateCluster>;

export const ReplaceCredentials = z
  .strictObject({
    version,
    kubeconfig: kubeconfig.optional(),
    token: z
      .strictObject({
        token: bearer,
        server: server.optional(),
        caData: caData.nullable().optional(),
        tlsServerName: tlsServerName.nullable().optional(),
      })
      .optional(),
    clientCertificate: z
      .strictObject({
        certificateData,
        keyData,
        server: server.optional(),
        caData: caData.nullable().optional(),
        tlsServerName: tlsServerName.nullable().optional(),
      })
      .optional(),
    inCluster: z.literal(true).optional(),
  })
  .superRefine(exactlyOneAccess)
  .meta({
    id: 'ReplaceClusterCredentials',
    description:
      'The whole credential: nothing of the old one stays. With a token or a client certificate, an absent server, ' +
      'caData or tlsServerName stays as it is.',
    example: { version: 1, token: { token: 'a-new-service-account-token' } },
  });
export type ReplaceCredentials = z.infer<typeof ReplaceCredentials>;

export const ListClustersQuery = z.strictObject({
  ...pageQuery,
  name: repeated(z.string().max(63)).optional().meta({ description: 'Only these names; may be repeated.' }),
  reachable: flag().optional().meta({ description: 'Only clusters that can, or cannot, be used.' }),
  labelSelector: labelSelectorQuery.meta({ description: 'As in kubectl.', example: 'env in (production, staging)' }),
});

export const CheckClusterQuery = z.strictObject({
  metadata: flag().default(false).meta({ description: 'Fetch the metadata too, however new it is.' }),
});

export const DeleteClusterQuery = z.strictObject({
  resources: z.literal('abandon').optional().meta({
    description: 'Forget the objects that workflows have in the cluster; they stay there.',
  }),
});

export const ClusterHealthQuery = z.strictObject({
  since: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .optional()
    .meta({ description: 'RFC 3339; absent: 24 hours ago.', example: '2026-01-01T00:00:00Z' }),
  limit: pageQuery.limit,
  cursor: z.iso
    .datetime()
    .transform((text) => new Date(text))
    .optional()
    .meta({ description: '`nextCursor` of the page before.' }),
});

function exactlyOneAccess(
  input: { kubeconfig?: unknown; token?: unknown; clientCertificate?: unknown; inCluster?: unknown },
  context: z.RefinementCtx,
): void {
  const given = (['kubeconfig', 'token', 'clientCertificate', 'inCluster'] as const).filter(
    (field) => input[field] !== undefined,
  );
  if (given.length === 1) return;
  const message = 'give exactly one of kubeconfig, token, clientCertificate and inCluster';
  for (const field of given.length === 0 ? ['kubeconfig'] : given) {
    context.addIssue({ code: 'custom', path: [field], message });
  }
}

/** A query parameter that may be given once or many times. */
function repeated<T extends z.ZodType>(item: T) {
  return z.union([item.transform((one) => [one]), z.array(item).max(100)]);
}

function commaSeparated<T extends z.ZodType>(list: T) {
  return z
    .string()
    .max(8_192)
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(list as unknown as z.ZodType<z.output<T>, string[]>);
}

function flag() {
  return z.enum(['true', 'false']).transform((text) => text === 'true');
}
