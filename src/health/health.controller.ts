import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import { type HealthCheckResult, HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import type { Response } from 'express';
import { z } from 'zod';
import { Public } from '../auth/index.js';
import { DatabaseHealth } from '../database/index.js';
import { Readiness } from '../lifecycle/index.js';

const probe = z
  .object({ status: z.enum(['ok', 'error', 'starting', 'draining']) })
  .meta({ id: 'Probe', description: 'The state and nothing else: probes need no key.' });

type ProbeStatus = z.infer<typeof probe>['status'];

/** Kubernetes' three probes. The answers tell the state only, the log has the reasons. */
@ApiTags('health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: DatabaseHealth,
    private readonly readiness: Readiness,
  ) {}

  @Public()
  @Get('live')
  @ApiOperation({ summary: 'Whether the process is alive; needs nothing else' })
  @ApiOkResponse({ standardSchema: probe })
  async live(@Res() response: Response): Promise<void> {
    answer(response, statusOf(await this.health.check([])));
  }

  @Public()
  @Get('ready')
  @ApiOperation({ summary: 'Whether the service takes requests; off first at shutdown' })
  @ApiOkResponse({ standardSchema: probe })
  @ApiServiceUnavailableResponse({ standardSchema: probe })
  async ready(@Res() response: Response): Promise<void> {
    const { state } = this.readiness;
    if (state !== 'ready') {
      answer(response, state);
      return;
    }
    const result = await this.health
      .check([() => this.checkDatabase()])
      .catch((): HealthCheckResult => ({ status: 'error', details: {} }));
    answer(response, statusOf(result));
  }

  @Public()
  @Get('startup')
  @ApiOperation({ summary: 'Whether the service has started' })
  @ApiOkResponse({ standardSchema: probe })
  @ApiServiceUnavailableResponse({ standardSchema: probe })
  startup(@Res() response: Response): void {
    answer(response, this.readiness.state === 'starting' ? 'starting' : 'ok');
  }

  private async checkDatabase() {
    const check = this.indicators.check('database');
    try {
      await this.database.ping();
      return check.up();
    } catch (error) {
      return check.down({ message: error instanceof Error ? error.message : String(error) });
    }
  }
}

function statusOf(result: HealthCheckResult): ProbeStatus {
  return result.status === 'ok' ? 'ok' : 'error';
}

function answer(response: Response, status: ProbeStatus): void {
  response
    .status(status === 'ok' ? 200 : 503)
    .set('Cache-Control', 'no-store')
    .json({ status });
}
