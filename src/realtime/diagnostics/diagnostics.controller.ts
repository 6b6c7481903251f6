import { Controller, Get, Header, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { CurrentPrincipal, Roles } from '../../auth/access.decorators.js';
import type { Principal } from '../../auth/principal.js';
import { ApiProblems } from '../../http/api-problems.js';
import type { BusEvent } from '../bus/bus-event.js';
import { EventBus } from '../bus/event-bus.js';
import type { EventType } from '../bus/event-map.js';
import { recentEvents, recentEventsQuery, subscriptions } from './diagnostics.dto.js';
import { isVisible } from './event-visibility.js';

/** What goes over the event bus of this process, for those who operate it. */
@ApiTags('diagnostics')
@ApiProblems()
@Controller('diagnostics')
export class DiagnosticsController {
  constructor(private readonly bus: EventBus) {}

  @Roles('admin')
  @Get('events')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ summary: 'The last events of this process, newest first' })
  @ApiOkResponse({ standardSchema: recentEvents })
  events(
    @Query({ schema: recentEventsQuery }) query: z.infer<typeof recentEventsQuery>,
    @CurrentPrincipal() principal: Principal,
  ): z.infer<typeof recentEvents> {
    const before = query.cursor === undefined ? Number.POSITIVE_INFINITY : Number(query.cursor);
    const found = this.bus
      .recent({
        // A type that does not exist has no events, which is what the answer says.
        ...(query.type && { types: query.type as EventType[] }),
        ...(query.since !== undefined && { since: Date.parse(query.since) }),
      })
      .filter((event) => event.sequence < before && isVisible(event, principal))
      .toReversed();
    const shown = found.slice(0, query.limit);
    const last = found.length > query.limit ? shown.at(-1) : undefined;
    return { items: shown.map(toAnswer), nextCursor: last === undefined ? null : String(last.sequence) };
  }

  @Roles('admin')
  @Get('subscriptions')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ summary: 'Who listens to the events of this process, and who cannot keep up' })
  @ApiOkResponse({ standardSchema: subscriptions })
  subscriptions(): z.infer<typeof subscriptions> {
    const items = this.bus.openSubscriptions().map((each) => ({ ...each, types: [...each.types] }));
    return { items, dropped: this.bus.stats().dropped, paused: this.bus.isPaused };
  }
}

function toAnswer({ sequence, type, timestamp, coalesceKey, payload }: BusEvent) {
  const at = new Date(timestamp).toISOString();
  return { sequence, type, timestamp: at, coalesceKey: coalesceKey ?? null, payload };
}
