import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { NextFunction, Request, Response } from 'express';
import request from 'supertest';
import '../../test/support/quiet-logger.js';
import { newId, openWorkflowRoom, type WorkflowRoom } from '../../test/support/workflow-room.js';
import type { Principal } from '../auth/principal.js';
import { bodyParsers } from '../http/body-parsers.js';
import { IdempotencyKeysRepository } from '../http/idempotency-keys.repository.js';
import { ProblemFilter } from '../http/problem.filter.js';
import { validationPipe } from '../http/validation.pipe.js';
import { CreateWorkflow, ReplaceWorkflow } from './workflow.dto.js';
import { WorkflowAnswer, WorkflowPage } from './workflow-answer.dto.js';
import { WorkflowsController } from './workflows.controller.js';
import { WorkflowsService } from './workflows.service.js';

const ANN: Principal = { kind: 'user', id: 'ann', role: 'operator', tenantId: 'default' };

/** Without the guards, which are tested for all routes at once. */
describe('/workflows', () => {
  let room: WorkflowRoom;
  let app: INestApplication;
  let clusterId: string;

  beforeAll(async () => {
    room = await openWorkflowRoom();
    const module = await Test.createTestingModule({
      controllers: [WorkflowsController],
      providers: [
        { provide: WorkflowsService, useValue: room.service },
        // Asked only for requests with an Idempotency-Key.
        { provide: IdempotencyKeysRepository, useValue: {} },
      ],
    }).compile();
    app = module.createNestApplication({ bodyParser: false });
    app.use(...bodyParsers());
    app.use((incoming: Request & { principal?: Principal }, _: Response, next: NextFunction) => {
      incoming.principal = ANN;
      next();
    });
    app.setGlobalPrefix('api/v1');
    app.useGlobalPipes(validationPipe());
    app.useGlobalFilters(new ProblemFilter());
    await app.init();
  });
  afterAll(async () => {
    await app.close();
    await room.close();
  });
  beforeEach(async () => {
    await room.connection.collection('workflows').deleteMany({});
    clusterId = room.clusters.add();
  });

  const http = () => request(app.getHttpServer());
  const example = (): Record<string, unknown> => ({ ...(CreateWorkflow.meta()?.['example'] as object), clusterId });

  async function create(change: Record<string, unknown> = {}): Promise<WorkflowAnswerBody> {
    const answer = await http()
      .post('/api/v1/workflows')
      .send({ ...example(), ...change })
      .expect(201);
    return answer.body as WorkflowAnswerBody;
  }

  interface WorkflowAnswerBody {
    readonly id: string;
    readonly version: number;
  }

  async function pathsOf(change: Record<string, unknown>): Promise<string[]> {
    const answer = await http()
      .post('/api/v1/workflows')
      .send({ ...example(), ...change })
      .expect(422);
    const { code, errors } = answer.body as { code: string; errors: ReadonlyArray<{ path: string }> };
    expect(code).toBe('request.invalid');
    expect(await room.connection.collection('workflows').countDocuments()).toBe(0);
    return errors.map(({ path }) => path);
  }

  it('takes the example of its documentation and answers as documented', async () => {
    const answer = await http().post('/api/v1/workflows').send(example()).expect(201);
    const { id } = z(answer.body);
    expect(answer.headers['location']).toBe(`/api/v1/workflows/${id}`);
    const read = await http().get(`/api/v1/workflows/${id}`).expect(200);
    expect(read.body).toEqual(answer.body);
    const list = await http().get('/api/v1/workflows?limit=1&namespace=default&namespace=other').expect(200);
    expect(WorkflowPage.strict().parse(list.body)).toMatchObject({ items: [{ id }], nextCursor: null });
    const replaced = { ...(ReplaceWorkflow.meta()?.['example'] as object), clusterId, onFailure: 'continue' };
    const put = await http().put(`/api/v1/workflows/${id}`).send(replaced).expect(200);
    expect(z(put.body)).toMatchObject({ version: 2, revision: 2 });
    await http().delete(`/api/v1/workflows/${id}`).expect(204);
    await http().get(`/api/v1/workflows/${id}`).expect(404);
  });

  /** Also a check that nothing is answered which is not documented. */
  const z = (body: unknown) => WorkflowAnswer.strict().parse(body);

  it('takes YAML with its query', async () => {
    const text =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\n';
    const query = { name: 'shop', clusterId, namespace: 'shop' };
    const post = () => http().post('/api/v1/workflows').set('Content-Type', 'application/yaml');
    const answer = await post().query(query).send(text).expect(201);
    expect(z(answer.body).nodes.map(({ id }) => id)).toEqual(['configmap-a', 'service-b']);
    const unnamed = await post().query({ clusterId }).send(text).expect(422);
    expect(unnamed.body).toMatchObject({ errors: [{ path: 'name' }, { path: 'namespace' }] });
    const broken = await post()
      .query({ ...query, name: 'other' })
      .send('a: &x 1')
      .expect(422);
    expect(broken.body).toMatchObject({ errors: [{ path: '', message: expect.stringContaining('line 1') }] });
  });

  it.each([
    [{ name: 'Shop' }, ['name']],
    [{ name: { $ne: null } }, ['name']],
    [{ clusterId: '5' }, ['clusterId']],
    [{ namespace: undefined, onFailure: 'explode' }, ['namespace', 'onFailure']],
    [{ labels: { 'a b': 'c' } }, ['labels["a b"]']],
    [{ nodes: [] }, ['nodes']],
    [{ nodes: 'x' }, ['nodes']],
    [{ nodes: [{ id: 'Not Valid', manifest: {}, timeoutMs: 600_001 }] }, ['nodes[0].id', 'nodes[0].timeoutMs']],
    [{ nodes: [{ id: 'a' }] }, ['nodes[0].manifest']],
    [{ edges: [{ source: 'a', target: 'b', waitFor: 'never' }] }, ['edges[0].waitFor']],
    [{ tenantId: 'other', state: 'archived', _id: 'x' }, ['tenantId', 'state', '_id']],
    [{ nodes: [{ id: 'a', manifest: {}, uid: 'x' }] }, ['nodes[0].uid']],
    [
      {
        edges: [
          { source: 'web', target: 'settings' },
          { source: 'settings', target: 'web' },
        ],
      },
      ['edges[0]'],
    ],
  ])('refuses %j with the paths %j', async (change, paths) => {
    expect(await pathsOf(change)).toEqual(paths);
  });

  it('takes the query with YAML only', async () => {
    const answer = await http().post('/api/v1/workflows?name=a').send(example()).expect(422);
    expect(answer.body).toMatchObject({ errors: [{ path: 'name' }] });
  });

  it('asks for a body', async () => {
    await http().post('/api/v1/workflows').expect(422);
    await http().post('/api/v1/workflows').send([]).expect(422);
  });

  it('asks a PUT for the version and tells the current one', async () => {
    const { id } = await create();
    const missing = await http().put(`/api/v1/workflows/${id}`).send(example()).expect(422);
    expect(missing.body).toMatchObject({ errors: [{ path: 'version' }] });
    const stale = await http()
      .put(`/api/v1/workflows/${id}`)
      .send({ ...example(), version: 7 })
      .expect(409);
    expect(stale.body).toMatchObject({ code: 'resource.version_conflict', currentVersion: 1 });
  });

  it('answers 409 for a name that is taken', async () => {
    await create();
    const answer = await http().post('/api/v1/workflows').send(example()).expect(409);
    expect(answer.body).toMatchObject({ code: 'resource.name_taken' });
  });

  it.each([['nonsense'], ['0'.repeat(23)], [newId()]])('knows no workflow %s', async (id) => {
    await http().get(`/api/v1/workflows/${id}`).expect(404);
    await http()
      .put(`/api/v1/workflows/${id}`)
      .send({ ...example(), version: 1 })
      .expect(404);
    await http().delete(`/api/v1/workflows/${id}`).expect(404);
  });

  it.each([['limit=0'], ['limit=201'], ['health=fine'], ['state=x'], ['labelSelector=((('], ['nme=x'], ['cursor=1']])(
    'refuses to list with %s',
    async (query) => {
      await http().get(`/api/v1/workflows?${query}`).expect(422);
    },
  );

  it('refuses to delete with an unknown option', async () => {
    const { id } = await create();
    await http().delete(`/api/v1/workflows/${id}?resources=delete`).expect(422);
    await http().delete(`/api/v1/workflows/${id}?resources=abandon`).expect(204);
  });
});
