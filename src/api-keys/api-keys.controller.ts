import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { ApiProblems, type Page, type Removed, objectIdParam } from '../http/index.js';
import type { StoredApiKey } from './api-key.document.js';
import { ApiKeyAnswer, ApiKeyPage, CreateApiKey, ListApiKeysQuery, NewApiKeyAnswer } from './api-keys.dto.js';
import { ApiKeysService } from './api-keys.service.js';

const apiKeyId = objectIdParam('API key');

@ApiTags('api-keys')
@ApiProblems()
@Controller('api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  // Not idempotent by key: the stored answer would hold the secret.
  @Post()
  @Roles('admin')
  @ApiOperation({
    summary: 'Make an API key',
    description: 'The answer shows it once. Besides the keys of CROWSNEST_API_KEYS, which are not listed here.',
  })
  @ApiCreatedResponse({ standardSchema: NewApiKeyAnswer })
  async create(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: CreateApiKey }) body: CreateApiKey,
    @Res({ passthrough: true }) response: Response,
  ): Promise<StoredApiKey & { readonly key: string }> {
    const created = await this.keys.create(principal, body);
    response.location(`/api/v1/api-keys/${created.id}`).set('Cache-Control', 'no-store');
    return created;
  }

  @Get()
  @Roles('admin')
  @ApiOperation({ summary: 'List API keys, newest first', description: 'Also those that have expired.' })
  @ApiOkResponse({ standardSchema: ApiKeyPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListApiKeysQuery }) query: ListApiKeysQuery,
  ): Promise<Page<StoredApiKey>> {
    return this.keys.list(principal, query);
  }

  @Get(':id')
  @Roles('admin')
  @ApiOperation({ summary: 'Show an API key' })
  @ApiOkResponse({ standardSchema: ApiKeyAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: apiKeyId }) id: string): Promise<StoredApiKey> {
    return this.keys.get(principal, id);
  }

  @Delete(':id')
  @HttpCode(204)
  @Roles('admin')
  @ApiOperation({ summary: 'Revoke an API key', description: 'Its next request is refused, on every replica.' })
  @ApiNoContentResponse({ description: 'It is gone.' })
  async revoke(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: apiKeyId }) id: string,
  ): Promise<Removed> {
    return this.keys.revoke(principal, id);
  }
}
