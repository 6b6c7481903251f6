import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { z } from 'zod';
import { CurrentPrincipal, type Principal, Roles } from '../../auth/index.js';
import { ApiProblems, Idempotent, type Page } from '../../http/index.js';
import { SubsystemsService } from '../registry/subsystems.service.js';
import type { SubsystemView } from '../registry/subsystem-view.js';
import { noBody } from './gateway-query.js';
import { ListSubsystemsQuery, RegisterSubsystem, SubsystemAnswer, SubsystemPage } from './subsystems.dto.js';

/** Whatever stands in the path: what is no id names nothing. */
const subsystemId = z.string();

@ApiTags('gateway')
@ApiProblems()
@Controller('gateway/subsystems')
export class SubsystemsController {
  constructor(private readonly subsystems: SubsystemsService) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({ summary: 'List FlowWatch subsystems, by id' })
  @ApiOkResponse({ standardSchema: SubsystemPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListSubsystemsQuery }) { limit, cursor = '', state }: ListSubsystemsQuery,
  ): Page<SubsystemView> {
    const found = this.subsystems
      .list(principal)
      .filter((each) => each.id > cursor && (state === undefined || state.includes(each.state)));
    const shown = found.slice(0, limit);
    const nextCursor = found.length > limit ? (shown.at(-1)?.id ?? null) : null;
    return { items: shown.map((each) => this.subsystems.viewOf(each)), nextCursor };
  }

  @Post()
  @Roles('operator')
  @Idempotent()
  @ApiOperation({
    summary: 'Register a FlowWatch subsystem that does not register itself',
    description:
      'It is kept alive by calls of the gateway, and asked as soon as one has succeeded: until then it is `connecting`.',
  })
  @ApiCreatedResponse({ standardSchema: SubsystemAnswer })
  async register(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: RegisterSubsystem }) body: RegisterSubsystem,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SubsystemView> {
    const subsystem = await this.subsystems.register(principal, body);
    response.location(`/api/v1/gateway/subsystems/${subsystem.id}`);
    return subsystem;
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a FlowWatch subsystem' })
  @ApiOkResponse({ standardSchema: SubsystemAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: subsystemId }) id: string): SubsystemView {
    return this.subsystems.get(principal, id);
  }

  @Delete(':id')
  @HttpCode(204)
  @Roles('operator')
  @ApiOperation({
    summary: 'Deregister a FlowWatch subsystem',
    description: 'One that registers itself is told to leave, and may come back.',
  })
  @ApiNoContentResponse({ description: 'It is asked no more.' })
  async deregister(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: subsystemId }) id: string,
  ): Promise<void> {
    await this.subsystems.deregister(principal, id);
  }

  @Post(':id/mark-stale')
  @HttpCode(200)
  @Roles('operator')
  @Idempotent()
  @ApiOperation({
    summary: 'Stop asking a FlowWatch subsystem',
    description: 'Until its next sign of life.',
  })
  @ApiBody({ schema: { $ref: '#/components/schemas/NoFields' }, required: false })
  @ApiOkResponse({ standardSchema: SubsystemAnswer })
  markStale(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: subsystemId }) id: string,
    @Body({ schema: noBody }) _none: z.infer<typeof noBody>,
  ): SubsystemView {
    return this.subsystems.markStale(principal, id);
  }
}
