import { Controller, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import type { z } from 'zod';
import { CurrentPrincipal, Roles } from '../../auth/access.decorators.js';
import type { Principal } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { ApiProblems } from '../../http/api-problems.js';
import { objectIdParam } from '../../http/object-id.js';
import { toMs, ValidateWorkflowQuery, ValidationAnswer } from './validation.dto.js';
import type { ValidationReport } from './validation-report.js';
import { WorkflowValidation } from './workflow-validation.js';

const workflowId = objectIdParam('workflow');

@ApiTags('workflows')
@ApiProblems()
@Controller('workflows/:id')
export class ValidationController {
  constructor(private readonly validation: WorkflowValidation) {}

  /** For operators, because it spends the cluster's credential. */
  @Post('validate')
  @Roles('operator')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Validate a workflow',
    description:
      'Asks independent validators what an execution would meet: the definition itself, the cluster, the rights of its ' +
      'credential, the namespace, whose the objects are, and the API server, by a dry run of each apply. Nothing is ' +
      'changed. The answer is 200 whatever they find; `valid` sums it up.',
  })
  @ApiOkResponse({ standardSchema: ValidationAnswer })
  validate(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Query({ schema: ValidateWorkflowQuery }) query: z.infer<typeof ValidateWorkflowQuery>,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ValidationReport> {
    const left = new AbortController();
    // After the answer nobody listens any more.
    response.once('close', () => {
      left.abort(new AppError('service.unavailable', 'the client left before the verdicts were there'));
    });
    return this.validation.validate(principal, id, { timeoutMs: toMs(query.timeout), signal: left.signal });
  }
}
