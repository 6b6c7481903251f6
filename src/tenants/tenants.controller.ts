import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { ApiProblems, Idempotent, type Page, objectIdParam } from '../http/index.js';
import { CreateTenant, ListTenantsQuery, TenantAnswer, TenantPage, UpdateTenant } from './tenant.dto.js';
import type { Tenant } from './tenant.js';
import { TenantsService } from './tenants.service.js';

const tenantId = objectIdParam('tenant');

@ApiTags('tenants')
@ApiProblems()
@Controller('tenants')
export class TenantsController {
  constructor(private readonly tenants: TenantsService) {}

  @Post()
  @Roles('admin')
  @Idempotent()
  @ApiOperation({ summary: 'Create a tenant', description: 'Only for admins of all tenants.' })
  @ApiCreatedResponse({ standardSchema: TenantAnswer })
  async create(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: CreateTenant }) body: CreateTenant,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Tenant> {
    const tenant = await this.tenants.create(principal, body);
    response.location(`/api/v1/tenants/${tenant.id}`);
    return tenant;
  }

  @Get()
  @Roles('viewer')
  @ApiOperation({ summary: 'List tenants, newest first', description: 'A key of one tenant sees that one.' })
  @ApiOkResponse({ standardSchema: TenantPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListTenantsQuery }) query: ListTenantsQuery,
  ): Promise<Page<Tenant>> {
    return this.tenants.list(principal, query);
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a tenant' })
  @ApiOkResponse({ standardSchema: TenantAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: tenantId }) id: string): Promise<Tenant> {
    return this.tenants.get(principal, id);
  }

  @Patch(':id')
  @Roles('admin')
  @ApiOperation({
    summary: 'Change plan, labels or limits',
    description: 'Jobs that wait are ranked by the new plan within a minute. Only for admins of all tenants.',
  })
  @ApiOkResponse({ standardSchema: TenantAnswer })
  update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: tenantId }) id: string,
    @Body({ schema: UpdateTenant }) body: UpdateTenant,
  ): Promise<Tenant> {
    return this.tenants.update(principal, id, body);
  }

  @Delete(':id')
  @HttpCode(204)
  @Roles('admin')
  @ApiOperation({
    summary: 'Remove a tenant that has no unfinished jobs',
    description: 'Its finished jobs go with it. Only for admins of all tenants; `default` stays.',
  })
  @ApiNoContentResponse({ description: 'It is gone.' })
  async delete(@CurrentPrincipal() principal: Principal, @Param('id', { schema: tenantId }) id: string): Promise<void> {
    await this.tenants.delete(principal, id);
  }
}
