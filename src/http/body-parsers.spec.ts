import { describe, expect, it } from '@jest/globals';
import express from 'express';
import request from 'supertest';
import { z } from 'zod';
import { AppError } from '../errors/app-error.js';
import { bodyParsers } from './body-parsers.js';
import { validationPipe } from './validation.pipe.js';

const schema = z.strictObject({ name: z.string() }).optional();

/** Answers the body as the route gets it, or the code and text of the refusal. */
const app = express()
  .use(...bodyParsers())
  .post('/', async (incoming, response) => {
    try {
      const body: unknown = await validationPipe().transform(incoming.body as unknown, { type: 'body', schema });
      response.json({ body: body ?? null });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      response.status(error.status).json({ code: error.code, detail: error.detail });
    }
  });

const post = () => request(app).post('/');

describe('a body', () => {
  it('is read as JSON', async () => {
    const { body } = await post().type('application/json').send('{"name":"a"}');
    expect(body).toEqual({ body: { name: 'a' } });
  });

  it.each([
    ['text/plain; charset=utf-8', 'the body is "text/plain; charset=utf-8"'],
    ['application/x-www-form-urlencoded', 'the body is "application/x-www-form-urlencoded"'],
    ['', 'the body has no content type'],
  ])('of content type "%s" is refused, with what is accepted', async (type, detail) => {
    // Of text supertest would name a type by itself.
    const { status, body } = await post().set('content-type', type).send(Buffer.from('{"name":"a"}'));
    expect(status).toBe(415);
    expect(body).toMatchObject({ code: 'request.unsupported_media_type', detail: expect.stringContaining(detail) });
    expect(body).toMatchObject({ detail: expect.stringContaining('application/json') });
  });

  it('that is none is not asked for a type', async () => {
    expect((await post()).body).toEqual({ body: null });
    expect((await post().set('content-type', 'text/plain').set('content-length', '0')).body).toEqual({ body: null });
  });
});
