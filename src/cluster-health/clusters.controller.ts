import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Put, Query, Res } from '@nestjs/common';
import {
  ApiConsumes,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Response } from 'express';
import type { z } from 'zod';
import { CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { ApiProblems, Idempotent, type Page, type Removed, objectIdParam } from '../http/index.js';
import { ClusterAnswer, ClusterHealthHistory, ClusterPage } from './cluster-answer.dto.js';
import { ClusterHealthHistoryService } from './cluster-health-history.service.js';
import {
  CheckClusterQuery,
  ClusterHealthQuery,
  type CreateCluster,
  CreateClusterQuery,
  DeleteClusterQuery,
  ListClustersQuery,
  ReplaceCredentials,
  UpdateCluster,
} from './cluster.dto.js';
import type { Cluster } from './cluster.js';
import { ClustersService } from './clusters.service.js';
import { CreateClusterBody, readCreateRequest } from './create-cluster-request.js';

const clusterId = objectIdParam('cluster');

@ApiTags('clusters')
@ApiProblems()
@Controller('clusters')
export class ClustersController {
  constructor(
    private readonly clusters: ClustersService,
    private readonly history: ClusterHealthHistoryService,
  ) {}

  @Post()
  @Roles('admin')
  @Idempotent()
  @ApiOperation({
    summary: 'Register a cluster and check it',
    description:
      'A cluster that cannot be reached is stored all the same; `reachable` and `reason` tell. As `application/yaml` the ' +
      'body is the kubeconfig itself: `kubectl config view --raw --flatten --minify | curl --data-binary @- …`.',
  })
  @ApiConsumes('application/json', 'application/yaml')
  @ApiCreatedResponse({ standardSchema: ClusterAnswer })
  async create(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: CreateClusterBody }) body: CreateCluster | string,
    @Query({ schema: CreateClusterQuery }) query: CreateClusterQuery,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Cluster> {
    const cluster = await this.clusters.create(principal, readCreateRequest(body, query));
    response.location(`/api/v1/clusters/${cluster.id}`);
    return cluster;
  }

  @Get()
  @Roles('viewer')
  @ApiOperation({ summary: 'List clusters, newest first' })
  @ApiOkResponse({ standardSchema: ClusterPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListClustersQuery }) query: z.infer<typeof ListClustersQuery>,
  ): Promise<Page<Cluster>> {
    return this.clusters.list(principal, query);
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a cluster' })
  @ApiOkResponse({ standardSchema: ClusterAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: clusterId }) id: string): Promise<Cluster> {
    return this.clusters.get(principal, id);
  }

  @Patch(':id')
  @Roles('operator')
  @ApiOperation({
    summary: 'Change name, labels, namespaces or endpoint',
    description: 'Another endpoint needs the role admin and the credential again, and is checked at once.',
  })
  @ApiOkResponse({ standardSchema: ClusterAnswer })
  update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: clusterId }) id: string,
    @Body({ schema: UpdateCluster }) body: UpdateCluster,
  ): Promise<Cluster> {
    return this.clusters.update(principal, id, body);
  }

  @Delete(':id')
  @HttpCode(204)
  @Roles('admin')
  @ApiOperation({ summary: 'Remove a cluster that no workflow has objects in' })
  @ApiNoContentResponse({ description: 'It is gone, with its history. Nothing in the cluster was touched.' })
  async delete(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: clusterId }) id: string,
    @Query({ schema: DeleteClusterQuery }) query: z.infer<typeof DeleteClusterQuery>,
  ): Promise<Removed> {
    return this.clusters.delete(principal, id, { abandon: query.resources === 'abandon' });
  }

  @Post(':id/check')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Check a cluster now', description: 'Within 10 s, at most 5 times a minute.' })
  @ApiOkResponse({ standardSchema: ClusterAnswer })
  check(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: clusterId }) id: string,
    @Query({ schema: CheckClusterQuery }) query: z.infer<typeof CheckClusterQuery>,
  ): Promise<Cluster> {
    return this.clusters.check(principal, id, query.metadata);
  }

  @Put(':id/credentials')
  @Roles('admin')
  @ApiOperation({ summary: 'Replace the whole credential and check it' })
  @ApiOkResponse({ standardSchema: ClusterAnswer })
  replaceCredentials(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: clusterId }) id: string,
    @Body({ schema: ReplaceCredentials }) body: ReplaceCredentials,
  ): Promise<Cluster> {
    return this.clusters.replaceCredentials(principal, id, body);
  }

  @Get(':id/health')
  @Roles('viewer')
  @ApiOperation({ summary: "History of a cluster's health, newest first" })
  @ApiOkResponse({ standardSchema: ClusterHealthHistory })
  health(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: clusterId }) id: string,
    @Query({ schema: ClusterHealthQuery }) query: z.infer<typeof ClusterHealthQuery>,
  ): Promise<ClusterHealthHistory> {
    return this.history.of(principal, id, query);
  }
}
