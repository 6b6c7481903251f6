import { readFile } from 'node:fs/promises';
import { AppError } from '../errors/app-error.js';

/** The pod's own service account. */
export interface ServiceAccount {
  /** As the files are now. Throws AppError `service.unavailable` outside of a pod. */
  read(): Promise<{ readonly token: string; readonly ca: string }>;
  /** `https://…` of the cluster that this process runs in; undefined outside of a pod. */
  server(): Promise<string | undefined>;
}

interface Location {
  readonly server: string;
  readonly tokenFile: string;
  readonly caFile: string;
}

/**
 * Found by @kubernetes/client-node, which knows the variables and paths of a pod; loaded when first needed, because it
 * costs half a second and 40 MB. The files are read here: the library reads them once.
 */
export class PodServiceAccount implements ServiceAccount {
  private location: Promise<Location | undefined> | undefined;

  /** @param root folder that stands for `/`, for tests. */
  constructor(private readonly root = '') {}

  async server(): Promise<string | undefined> {
    return (await this.locate())?.server;
  }

  async read(): Promise<{ token: string; ca: string }> {
    const location = await this.locate();
    if (!location) {
      throw new AppError(
        'service.unavailable',
        'the service does not run in a cluster: register it by kubeconfig or token',
      );
    }
    try {
      const [token, ca] = await Promise.all([readFile(location.tokenFile, 'utf8'), readFile(location.caFile, 'utf8')]);
      return { token: token.trim(), ca };
    } catch (cause) {
      throw new AppError('service.unavailable', `the files of the pod's service account cannot be read`, { cause });
    }
  }

  private locate(): Promise<Location | undefined> {
    return (this.location ??= locateInPod(this.root));
  }
}

async function locateInPod(root: string): Promise<Location | undefined> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromCluster(root);
  const cluster = config.getCurrentCluster();
  const provider: unknown = config.getCurrentUser()?.authProvider?.config;
  const tokenFile =
    typeof provider === 'object' && provider !== null && 'tokenFile' in provider ? provider.tokenFile : undefined;
  // Outside of a pod the library gives `https://undefined:undefined`, which is no URL.
  if (!cluster?.caFile || typeof tokenFile !== 'string' || !URL.canParse(cluster.server)) return undefined;
  // As `checkAccess` spells servers: without the default port.
  return { server: new URL(cluster.server).origin, tokenFile, caFile: cluster.caFile };
}
