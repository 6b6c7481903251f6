import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Public } from '../auth/access.decorators.js';
import { PROGRAM_VERSION } from '../runtime/program-version.js';

/** Where to go from here: a browser to the documentation, anybody else by links. */
@ApiExcludeController()
@Controller()
export class IndexController {
  @Public()
  @Get()
  index(@Req() request: Request, @Res() response: Response): void {
    if (request.accepts(['json', 'html']) === 'html') {
      response.redirect(302, '/docs');
      return;
    }
    response.json({
      name: 'crowsnest',
      version: PROGRAM_VERSION,
      links: {
        documentation: '/docs',
        openapi: '/api/openapi.json',
        api: '/api/v1',
        live: '/health/live',
        ready: '/health/ready',
        startup: '/health/startup',
        metrics: '/metrics',
      },
    });
  }
}
