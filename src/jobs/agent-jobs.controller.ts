import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request } from 'express';
import { AgentRoute, CurrentPrincipal, type Principal } from '../auth/index.js';
import { ApiProblems, objectIdParam } from '../http/index.js';
import { AgentClaims } from './claims/agent-claims.js';
import {
  ClaimAnswer,
  ClaimJobs,
  CompleteJob,
  EndedJobAnswer,
  FailJob,
  HeldJobAnswer,
  ReportProgress,
  StartJob,
} from './agent-job.dto.js';
import type { HeldJob } from './reports/held-job.js';
import { JobReports } from './reports/job-reports.js';
import type { ClaimedJob, Job } from './job.js';

const jobId = objectIdParam('job');

/** What agents do with jobs. Their credential says who they are; the token of a lease, that the job is theirs. */
@ApiTags('agents')
@ApiProblems()
@Controller('jobs')
export class AgentJobsController {
  constructor(
    private readonly claims: AgentClaims,
    private readonly reports: JobReports,
  ) {}

  @Post('claim')
  @HttpCode(200)
  @AgentRoute()
  @ApiOperation({
    summary: 'Claim jobs',
    description: 'With an agent’s credential. Answers as soon as there are jobs, or none when `waitMs` is over.',
  })
  @ApiOkResponse({ standardSchema: ClaimAnswer })
  async claim(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: ClaimJobs }) body: ClaimJobs,
    @Req() request: Request,
  ): Promise<{ jobs: ClaimedJob[] }> {
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    request.res?.once('close', onClose);
    try {
      return { jobs: await this.claims.claim(principal.id, body, gone.signal) };
    } finally {
      request.res?.off('close', onClose);
    }
  }

  @Post(':id/start')
  @HttpCode(200)
  @AgentRoute()
  @ApiOperation({ summary: 'Tell that work on a claimed job begins', description: "With an agent's credential." })
  @ApiOkResponse({ standardSchema: HeldJobAnswer })
  async start(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: StartJob }) { token }: StartJob,
  ): Promise<HeldJobAnswer> {
    return held(await this.reports.start(principal, id, token));
  }

  @Post(':id/progress')
  @HttpCode(200)
  @AgentRoute()
  @ApiOperation({ summary: 'Tell progress of a running job', description: 'Renews its lease, too.' })
  @ApiOkResponse({ standardSchema: HeldJobAnswer })
  async progress(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: ReportProgress }) { token, percent, message }: ReportProgress,
  ): Promise<HeldJobAnswer> {
    return held(await this.reports.progress(principal, id, token, { percent, message }));
  }

  @Post(':id/complete')
  @HttpCode(200)
  @AgentRoute()
  @ApiOperation({
    summary: 'Complete a job',
    description: '409 `job.lease_lost`: the job is another agent’s or has ended; drop the work. Repeating it is safe.',
  })
  @ApiOkResponse({ standardSchema: EndedJobAnswer })
  async complete(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: CompleteJob }) { token, result }: CompleteJob,
  ): Promise<EndedJobAnswer> {
    return ended(await this.reports.complete(principal, id, token, result));
  }

  @Post(':id/fail')
  @HttpCode(200)
  @AgentRoute()
  @ApiOperation({
    summary: 'Give a job back as failed, or as stopped when it was to be cancelled',
    description: 'Tried again later while it has retries left, unless `retryable` is false. Repeating it is safe.',
  })
  @ApiOkResponse({ standardSchema: EndedJobAnswer })
  async fail(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: jobId }) id: string,
    @Body({ schema: FailJob }) { token, error, retryable }: FailJob,
  ): Promise<EndedJobAnswer> {
    return ended(await this.reports.fail(principal, id, token, error, retryable));
  }
}

function held({ job, expiresInMs, cancelRequested }: HeldJob): HeldJobAnswer {
  return { id: job.id, state: job.state, cancelRequested, lease: { expiresInMs } };
}

function ended({ id, state }: Job): EndedJobAnswer {
  return { id, state };
}
