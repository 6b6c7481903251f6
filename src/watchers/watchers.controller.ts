import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentPrincipal, type Principal, Roles, isInScope } from '../auth/index.js';
import { ApiProblems } from '../http/index.js';
import { TrackedResources } from './tracking/tracked-resources.js';
import { WatcherList } from './watcher.dto.js';
import { WatcherManager } from './watcher-manager.js';

@ApiTags('watchers')
@ApiProblems()
@Controller('watchers')
export class WatchersController {
  constructor(
    private readonly manager: WatcherManager,
    private readonly tracked: TrackedResources,
  ) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({
    summary: 'List the running watches',
    description: 'All of them: as many as there are pairs of kind and namespace, not of resources.',
  })
  @ApiOkResponse({ standardSchema: WatcherList })
  list(@CurrentPrincipal() principal: Principal): WatcherList {
    const visible = this.visibleClusters(principal);
    const items = this.manager
      .watches()
      .filter(({ clusterId }) => visible.has(clusterId))
      .map(({ lastEventAt, ...watch }) => ({
        ...watch,
        namespaces: [...watch.namespaces],
        lastEventAt: lastEventAt === null ? null : new Date(lastEventAt).toISOString(),
      }))
      .toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)));
    return { items };
  }

  /** A watch belongs to whoever has a resource in its cluster: clusters belong to one tenant. */
  private visibleClusters(principal: Principal): ReadonlySet<string> {
    const documents = [...this.tracked.all()].map(({ document }) => document);
    return new Set(
      documents.filter(({ tenantId }) => isInScope(principal, tenantId)).map(({ clusterId }) => clusterId.toString()),
    );
  }
}

function keyOf({ clusterId, kind, namespace }: WatcherList['items'][number]): string {
  return `${clusterId}/${kind}/${namespace ?? ''}`;
}
