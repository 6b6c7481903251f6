import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { ALL_TENANTS, CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { AppError } from '../errors/app-error.js';
import { ApiProblems, type Page, toPage } from '../http/index.js';
import type { AuditRow } from './audit-row.js';
import { AuditRowsRepository } from './audit-rows.repository.js';
import { type AuditVerdict, AuditVerification } from './audit-verification.js';
import {
  AuditLogAnswer,
  AuditLogPage,
  AuditVerdictAnswer,
  ListAuditLogsQuery,
  VerifyAuditLogsQuery,
} from './audit.dto.js';

@ApiTags('audit')
@ApiProblems()
@Controller('audit-logs')
export class AuditLogsController {
  private isVerifying = false;

  constructor(
    private readonly rows: AuditRowsRepository,
    private readonly verification: AuditVerification,
  ) {}

  @Get()
  @Roles('admin')
  @ApiOperation({
    summary: 'List what was done, newest first',
    description:
      'Changes by people and keys, credentials issued and used, and one row for each sweep that changed something.',
  })
  @ApiOkResponse({ standardSchema: AuditLogPage })
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListAuditLogsQuery }) query: ListAuditLogsQuery,
  ): Promise<Page<AuditLogAnswer>> {
    return toPage(await this.rows.list(principal, query), query.limit, shown);
  }

  @Get('verify')
  @Roles('admin')
  @ApiOperation({
    summary: 'Check that nobody has changed the log',
    description:
      'Reads every row of the segments asked for, so a long log takes minutes; it ends when the client goes, and this ' +
      'process does one at a time. Needs a key of all tenants.',
  })
  @ApiOkResponse({ standardSchema: AuditVerdictAnswer })
  async verify(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: VerifyAuditLogsQuery }) query: VerifyAuditLogsQuery,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AuditVerdict> {
    if (principal.tenantId !== ALL_TENANTS) {
      throw new AppError('auth.forbidden', 'the log is one for all tenants: only a key of all tenants may verify it');
    }
    if (this.isVerifying) {
      throw new AppError('request.rate_limited', 'the log is being verified already; try later', {
        headers: { 'Retry-After': '10' },
      });
    }
    this.isVerifying = true;
    const gone = new AbortController();
    const onClose = (): void => gone.abort(new AppError('service.unavailable', 'the client has gone'));
    response.once('close', onClose);
    try {
      const verdict = await this.verification.verify(query, gone.signal);
      refuseNothing(query, verdict);
      return verdict;
    } finally {
      this.isVerifying = false;
      response.off('close', onClose);
    }
  }
}

/** `intact` of no segment at all would be a lie; a log whose end was cut off is told as broken instead. */
function refuseNothing({ from = 0 }: VerifyAuditLogsQuery, { status, newest, anchor }: AuditVerdict): void {
  const last = Math.max(newest?.segment ?? 0, anchor?.segment ?? 0);
  if (from <= last || status !== 'intact') return;
  const message = last === 0 ? 'no segment is sealed yet' : `expected at most ${last}, the newest segment`;
  throw AppError.invalid([{ path: 'from', message }]);
}

/** Field by field: what somebody added in the database is not shown. */
function shown(row: AuditRow): AuditLogAnswer {
  const { tenantId, actor, action, target, outcome, reason, method, route, status, requestId, detail, segment } = row;
  return {
    id: row._id.toHexString(),
    tenantId,
    at: row.at.toISOString(),
    actor: { kind: actor.kind, id: actor.id },
    action,
    target: target && { type: target.type, id: target.id },
    outcome,
    reason,
    method,
    route,
    status,
    requestId,
    detail,
    segment,
  };
}
