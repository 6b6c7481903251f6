import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import type { Registry } from 'prom-client';
import { MetricsAccess } from '../auth/index.js';
import { METRICS_REGISTRY } from '../metrics/index.js';

@ApiTags('health')
@Controller('metrics')
export class MetricsController {
  constructor(@Inject(METRICS_REGISTRY) private readonly registry: Registry) {}

  @MetricsAccess()
  @Get()
  @ApiOperation({
    summary: 'Metrics in the text format of Prometheus',
    description: 'For viewers of all tenants, or for everybody with `CROWSNEST_METRICS_PUBLIC=true`.',
  })
  @ApiOkResponse({ content: { 'text/plain': { schema: { type: 'string' } } } })
  async metrics(@Res() response: Response): Promise<void> {
    response.set('Content-Type', this.registry.contentType).send(await this.registry.metrics());
  }
}
