import { Global, Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { AuthModule, Tickets } from '../auth/index.js';
import { LeaderElection } from '../leader-election/index.js';
import { LifecycleRegistry } from '../lifecycle/lifecycle-registry.js';
import { CriticalDropLog } from './critical-drop-log.js';
import { EventBus } from './bus/event-bus.js';
import { LEADERSHIP } from './bus/leadership.js';
import { DiagnosticsController } from './diagnostics/diagnostics.controller.js';
import { RealtimeMetrics } from './realtime.metrics.js';
import { RealtimeRunnable } from './realtime.runnable.js';
import { SseBroadcaster } from './streams/sse-broadcaster.js';
import { StreamRequests } from './streams/stream-requests.js';
import { StreamRevocations } from './streams/stream-revocations.js';
import { StreamsController } from './streams/streams.controller.js';
import { streamTicketSchema } from './tickets/stream-ticket.schema.js';
import { StreamTicketsController } from './tickets/stream-tickets.controller.js';
import { StreamTicketsRepository } from './tickets/stream-tickets.repository.js';
import { StreamTicketsService } from './tickets/stream-tickets.service.js';
import { TicketStreams } from './tickets/ticket-streams.js';

/** Events between the rooms, and their way to browsers. */
@Global()
@Module({
  imports: [AuthModule, MongooseModule.forFeature([{ name: 'StreamTicket', schema: streamTicketSchema }])],
  controllers: [StreamsController, StreamTicketsController, DiagnosticsController],
  providers: [
    // Whoever leads the events of all replicas gets what only one may get.
    {
      provide: LEADERSHIP,
      inject: [LeaderElection],
      useFactory: (election: LeaderElection) => election.elector('events'),
    },
    EventBus,
    SseBroadcaster,
    RealtimeRunnable,
    RealtimeMetrics,
    CriticalDropLog,
    StreamTicketsRepository,
    StreamTicketsService,
    TicketStreams,
    StreamRequests,
    StreamRevocations,
  ],
  // With what routes of other rooms need that are event streams too.
  exports: [EventBus, SseBroadcaster, StreamRequests, TicketStreams],
})
export class RealtimeModule {
  constructor(
    lifecycle: LifecycleRegistry,
    runnable: RealtimeRunnable,
    tickets: Tickets,
    authority: StreamTicketsService,
    ticketStreams: TicketStreams,
    election: LeaderElection,
    revocations: StreamRevocations,
  ) {
    lifecycle.register('streams', runnable);
    lifecycle.register('streams', election.elector('events'));
    lifecycle.register('streams', revocations);
    tickets.register(authority);
    // A later phase of the stop: the streams have ended, and what they left to store is stored before the database closes.
    lifecycle.register('http', ticketStreams);
  }
}
