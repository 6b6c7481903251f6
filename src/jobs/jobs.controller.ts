import { Body, Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { ApiProblems, Idempotent, type Page, objectIdParam } from '../http/index.js';
import { toJob } from './job.document.js';
import { EnqueuedJobs, JobAnswer, JobDetailAnswer, JobPage, JobStatsAnswer } from './job-answer.dto.js';
import { JobEnqueue } from './job-enqueue.js';
import { type CreateJob, type CreateJobs, EnqueueJobsBody, JobStatsQuery, ListJobsQuery } from './job.dto.js';
import type { Job, JobDetail } from './job.js';
import { type JobStats, JobsService } from './jobs.service.js';

const jobId = objectIdParam('job');

@ApiTags('jobs')
@ApiProblems()
@Controller('jobs')
export class JobsController {
  constructor(
    private readonly enqueueing: JobEnqueue,
    private readonly jobs: JobsService,
  ) {}

  @Post()
  @Roles('operator')
  @Idempotent()
  @ApiOperation({
    summary: 'Enqueue one job, or up to 500 as `{"jobs": […]}`',
    description: 'All of them or none. The answer has the shape of the request: a job, or `items` in the same order.',
  })
  @ApiCreatedResponse({ standardSchema: EnqueuedJobs })
  async enqueue(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: EnqueueJobsBody }) body: CreateJob | CreateJobs,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Job | { items: Job[] }> {
    if ('jobs' in body) return { items: (await this.enqueueing.enqueue(principal, body.jobs)).map(toJob) };
    const [document] = await this.enqueueing.enqueue(principal, [body]);
    if (!document) throw new Error('the job was not enqueued');
    response.location(`/api/v1/jobs/${document._id.toHexString()}`);
    return toJob(document);
  }

  @Get()
  @Roles('viewer')
  @ApiOperation({ summary: 'List jobs, newest first', description: 'Without payload, result and history.' })
  @ApiOkResponse({ standardSchema: JobPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListJobsQuery }) query: ListJobsQuery,
  ): Promise<Page<Job>> {
    return this.jobs.list(principal, query);
  }

  @Get('stats')
  @Roles('viewer')
  @ApiOperation({ summary: 'Count jobs by state, type and tenant' })
  @ApiOkResponse({ standardSchema: JobStatsAnswer })
  stats(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: JobStatsQuery }) { tenantId }: JobStatsQuery,
  ): Promise<JobStats> {
    return this.jobs.stats(principal, tenantId);
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a job', description: 'With payload, result, error and history.' })
  @ApiOkResponse({ standardSchema: JobDetailAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: jobId }) id: string): Promise<JobDetail> {
    return this.jobs.get(principal, id);
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({
    summary: 'Cancel a job',
    description: 'Ends one that waits. The agent of one in progress is asked to stop, with its next heartbeat.',
  })
  @ApiOkResponse({ standardSchema: JobAnswer })
  cancel(@CurrentPrincipal() principal: Principal, @Param('id', { schema: jobId }) id: string): Promise<Job> {
    return this.jobs.cancel(principal, id);
  }

  @Post(':id/retry')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({
    summary: 'Queue a failed, cancelled or expired job again',
    description: 'With all its attempts; not before its `notBefore`, and within the limit of its tenant.',
  })
  @ApiOkResponse({ standardSchema: JobAnswer })
  retry(@CurrentPrincipal() principal: Principal, @Param('id', { schema: jobId }) id: string): Promise<Job> {
    return this.jobs.retry(principal, id);
  }
}
