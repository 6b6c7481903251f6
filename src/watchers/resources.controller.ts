import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { AppError } from '../errors/app-error.js';
import { ApiProblems, type Page, cursorFilter, objectIdParam, toPage } from '../http/index.js';
import {
  ListResourcesQuery,
  ResourceAnswer,
  type ResourceHistoryEntry,
  ResourceHistoryPage,
  ResourceHistoryQuery,
  ResourcePage,
} from './resource.dto.js';
import type { Resource } from './resource.js';
import { ResourceHistoryRepository } from './tracking/resource-history.repository.js';
import type { ResourceHistoryDocument } from './tracking/resource-history.schema.js';
import { toResource } from './tracking/resource-view.js';
import { ResourcesRepository } from './tracking/resources.repository.js';

const resourceId = objectIdParam('resource');

@ApiTags('resources')
@ApiProblems()
@Controller('resources')
export class ResourcesController {
  constructor(
    private readonly resources: ResourcesRepository,
    private readonly history: ResourceHistoryRepository,
  ) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({ summary: 'List the resources of workflows, newest first' })
  @ApiOkResponse({ standardSchema: ResourcePage })
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListResourcesQuery }) query: z.infer<typeof ListResourcesQuery>,
  ): Promise<Page<Resource>> {
    const { limit, cursor, ...filter } = query;
    const documents = await this.resources.page(principal, filter, cursorFilter({ cursor }), limit + 1);
    return toPage(documents, limit, toResource);
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a resource' })
  @ApiOkResponse({ standardSchema: ResourceAnswer })
  async get(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: resourceId }) id: string,
  ): Promise<Resource> {
    const document = await this.resources.find(principal, id);
    if (!document) throw AppError.notFound('resource');
    return toResource(document);
  }

  @Get(':id/history')
  @Roles('viewer')
  @ApiOperation({ summary: 'What became of a resource, newest first' })
  @ApiOkResponse({ standardSchema: ResourceHistoryPage })
  async historyOf(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: resourceId }) id: string,
    @Query({ schema: ResourceHistoryQuery }) query: z.infer<typeof ResourceHistoryQuery>,
  ): Promise<Page<ResourceHistoryEntry>> {
    if (!(await this.resources.find(principal, id))) throw AppError.notFound('resource');
    const entries = await this.history.page(principal, id, cursorFilter(query), query.limit + 1);
    return toPage(entries, query.limit, toHistoryEntry);
  }
}

function toHistoryEntry(document: ResourceHistoryDocument): ResourceHistoryEntry {
  return {
    id: document._id.toHexString(),
    at: document.at.toISOString(),
    uid: document.uid,
    health: document.health,
    previous: document.previous,
    rollout: document.rollout,
    reason: document.reason,
    message: document.message,
    version: document.resourceRevision,
  };
}
