import { Controller, Get, HttpCode, Param, Post, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { ApiProblems } from '../http/index.js';
import { ControllerAnswer, ControllerList, controllerName } from './controller.dto.js';
import { ControllersService } from './controllers.service.js';

@ApiTags('controllers')
@ApiProblems()
@Controller('controllers')
export class ControllersController {
  constructor(private readonly controllers: ControllersService) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({ summary: 'List the controllers, by name' })
  @ApiOkResponse({ standardSchema: ControllerList })
  async list(@CurrentPrincipal() principal: Principal): Promise<ControllerList> {
    return { items: await this.controllers.list(principal) };
  }

  @Get(':name')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a controller' })
  @ApiOkResponse({ standardSchema: ControllerAnswer })
  get(
    @CurrentPrincipal() principal: Principal,
    @Param('name', { schema: controllerName }) name: string,
  ): Promise<ControllerAnswer> {
    return this.controllers.get(principal, name);
  }

  @Post(':name/reconcile')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({
    summary: 'Run a round now',
    description:
      'On whichever replica leads. Answers 200 with the state after the round (see `lastOutcome`), or 202 when it has ' +
      'not ended within the time that such requests wait. Needs a key of all tenants.',
  })
  @ApiOkResponse({ standardSchema: ControllerAnswer })
  @ApiAcceptedResponse({ standardSchema: ControllerAnswer })
  async reconcile(
    @CurrentPrincipal() principal: Principal,
    @Param('name', { schema: controllerName }) name: string,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ControllerAnswer> {
    const { isThrough, controller } = await this.controllers.reconcile(principal, name);
    if (!isThrough) response.status(202).location(`/api/v1/controllers/${name}`);
    return controller;
  }

  @Post(':name/pause')
  @HttpCode(200)
  @Roles('admin')
  @ApiOperation({
    summary: 'Begin no further round on any replica',
    description: 'Survives restarts. A round in progress ends. Needs a key of all tenants.',
  })
  @ApiOkResponse({ standardSchema: ControllerAnswer })
  pause(
    @CurrentPrincipal() principal: Principal,
    @Param('name', { schema: controllerName }) name: string,
  ): Promise<ControllerAnswer> {
    return this.controllers.pause(principal, name);
  }

  @Post(':name/resume')
  @HttpCode(200)
  @Roles('admin')
  @ApiOperation({ summary: 'Begin rounds again', description: 'Needs a key of all tenants.' })
  @ApiOkResponse({ standardSchema: ControllerAnswer })
  resume(
    @CurrentPrincipal() principal: Principal,
    @Param('name', { schema: controllerName }) name: string,
  ): Promise<ControllerAnswer> {
    return this.controllers.resume(principal, name);
  }
}
