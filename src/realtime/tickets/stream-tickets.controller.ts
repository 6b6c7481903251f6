import { Body, Controller, Delete, Header, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBody, ApiCreatedResponse, ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { CurrentPrincipal, Roles } from '../../auth/access.decorators.js';
import type { Principal } from '../../auth/principal.js';
import { ApiProblems } from '../../http/api-problems.js';
import { objectIdParam } from '../../http/object-id.js';
import type { Removed } from '../../http/removed.js';
import { CreateStreamTicket, StreamTicketAnswer } from './stream-tickets.dto.js';
import { type IssuedTicket, StreamTicketsService } from './stream-tickets.service.js';

const DESCRIPTION = `For an \`EventSource\`, which can send no key: open \`path\` with it within 30 s. The ticket is for just these
keys, with your rights. Once its stream has begun it only brings the same client back after an interruption, which an
\`EventSource\` does by itself: one connection at a time, until \`expiresAt\` or until it is revoked.`;

@ApiTags('streams')
@ApiProblems()
@Controller('streams/tickets')
export class StreamTicketsController {
  constructor(private readonly tickets: StreamTicketsService) {}

  @Post()
  @Roles('viewer')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ summary: 'Get a ticket for a stream', description: DESCRIPTION })
  @ApiBody({ schema: { $ref: '#/components/schemas/CreateStreamTicket' } })
  @ApiCreatedResponse({ standardSchema: StreamTicketAnswer })
  issue(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: CreateStreamTicket }) body: z.infer<typeof CreateStreamTicket>,
  ): Promise<IssuedTicket> {
    return this.tickets.issue(principal, body.keys);
  }

  @Delete(':id')
  @HttpCode(204)
  @Roles('viewer')
  @ApiOperation({
    summary: 'Revoke a ticket',
    description: 'Yours, or as an admin any of the tenant. A stream that runs on it is cut.',
  })
  @ApiNoContentResponse({ description: 'It is gone.' })
  async revoke(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: objectIdParam('ticket') }) id: string,
  ): Promise<Removed> {
    return this.tickets.revoke(principal, id);
  }
}
