import { create } from '@bufbuild/protobuf';
import { Controller, Get, Inject, Query, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Roles } from '../../auth/index.js';
import { ApiProblems } from '../../http/index.js';
import { SearchRequestSchema, SearchScopeSchema, SuggestRequestSchema } from '../gen/flowwatch/v1/search_service_pb.js';
import type { Caller } from '../routing/caller.js';
import { RUN_OWNERS, type RunOwners } from '../routing/run-owners.js';
import { SearchAnswers } from '../search/search-answers.js';
import { toldBy, totalOf } from './answer-view.js';
import { GatewayCaller } from './gateway-caller.js';
import { GatewayProblems } from './gateway-problems.js';
import {
  GatewaySearchPage,
  GatewaySearchQuery,
  GatewaySuggestQuery,
  GatewaySuggestions,
  facetsView,
  searchResultView,
} from './search-view.js';
import { textOf, timeRangeOf } from './wire-values.js';
import { valueOfWord } from './wire-words.js';

@ApiTags('gateway')
@ApiProblems()
@UseInterceptors(GatewayProblems)
@Controller('gateway/search')
export class SearchController {
  constructor(
    private readonly answers: SearchAnswers,
    @Inject(RUN_OWNERS) private readonly owners: RunOwners,
  ) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({
    summary: 'Search runs, steps, payloads and logs of all FlowWatch subsystems that offer it',
    description: 'Best first. Subsystems that do not offer search or do not answer are named in `warnings`.',
  })
  @ApiOkResponse({ standardSchema: GatewaySearchPage })
  async search(
    @GatewayCaller() caller: Caller,
    @Query({ schema: GatewaySearchQuery }) { query, scope, limit, cursor = '', ...range }: GatewaySearchQuery,
  ): Promise<GatewaySearchPage> {
    const request = create(SearchRequestSchema, {
      query,
      scope: valueOfWord(SearchScopeSchema, scope),
      pagination: { limit, cursor },
      ...timeRangeOf(range),
    });
    const answer = await this.answers.search(caller, request);
    const { results, facets, pagination, queryMs } = answer.value;
    const ownerOf = (runId: string): string | null => this.owners.knownOwner(caller.principal, runId)?.id ?? null;
    return {
      items: results.map((result) => searchResultView(result, ownerOf(result.runId))),
      nextCursor: textOf(pagination?.nextCursor ?? ''),
      totalCount: totalOf(pagination, results, answer),
      facets: facetsView(facets),
      queryMs,
      ...toldBy(answer),
    };
  }

  @Get('suggest')
  @Roles('viewer')
  @ApiOperation({ summary: 'Suggest values of a field to search for, most frequent first' })
  @ApiOkResponse({ standardSchema: GatewaySuggestions })
  async suggest(
    @GatewayCaller() caller: Caller,
    @Query({ schema: GatewaySuggestQuery }) query: GatewaySuggestQuery,
  ): Promise<GatewaySuggestions> {
    const answer = await this.answers.suggest(caller, create(SuggestRequestSchema, query));
    const items = answer.value.suggestions.map(({ value, count }) => ({ value, count }));
    return { items, nextCursor: null, ...toldBy(answer) };
  }
}
