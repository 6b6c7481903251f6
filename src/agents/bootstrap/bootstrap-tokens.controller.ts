import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { CurrentPrincipal, type Principal, Roles } from '../../auth/index.js';
import { ApiProblems, type Page, type Removed, objectIdParam } from '../../http/index.js';
import type { BootstrapToken } from './bootstrap-token.document.js';
import {
  BootstrapTokenAnswer,
  BootstrapTokenPage,
  CreateBootstrapToken,
  ListBootstrapTokensQuery,
  NewBootstrapTokenAnswer,
} from './bootstrap-tokens.dto.js';
import { BootstrapTokensService } from './bootstrap-tokens.service.js';

const tokenId = objectIdParam('bootstrap token');

@ApiTags('bootstrap-tokens')
@ApiProblems()
@Controller('bootstrap-tokens')
export class BootstrapTokensController {
  constructor(private readonly tokens: BootstrapTokensService) {}

  // Not idempotent by key: the stored answer would hold the secret.
  @Post()
  @Roles('admin')
  @ApiOperation({ summary: 'Make a bootstrap token', description: 'The answer shows it once.' })
  @ApiCreatedResponse({ standardSchema: NewBootstrapTokenAnswer })
  async issue(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: CreateBootstrapToken }) body: CreateBootstrapToken,
    @Res({ passthrough: true }) response: Response,
  ): Promise<BootstrapToken & { readonly token: string }> {
    const issued = await this.tokens.issue(principal, body);
    response.location(`/api/v1/bootstrap-tokens/${issued.id}`).set('Cache-Control', 'no-store');
    return issued;
  }

  @Get()
  @Roles('admin')
  @ApiOperation({ summary: 'List bootstrap tokens, newest first', description: 'Also those that are over, for a day.' })
  @ApiOkResponse({ standardSchema: BootstrapTokenPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListBootstrapTokensQuery }) query: ListBootstrapTokensQuery,
  ): Promise<Page<BootstrapToken>> {
    return this.tokens.list(principal, query);
  }

  @Get(':id')
  @Roles('admin')
  @ApiOperation({ summary: 'Show a bootstrap token' })
  @ApiOkResponse({ standardSchema: BootstrapTokenAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: tokenId }) id: string): Promise<BootstrapToken> {
    return this.tokens.get(principal, id);
  }

  @Delete(':id')
  @HttpCode(204)
  @Roles('admin')
  @ApiOperation({ summary: 'Revoke a bootstrap token', description: 'Agents that it has let in stay.' })
  @ApiNoContentResponse({ description: 'It lets nobody in any more.' })
  async revoke(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: tokenId }) id: string,
  ): Promise<Removed> {
    return this.tokens.revoke(principal, id);
  }
}
