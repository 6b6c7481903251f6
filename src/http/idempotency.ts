import { UseInterceptors, applyDecorators } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { IdempotencyInterceptor } from './idempotency.interceptor.js';

/** The POST, or each of the controller, takes an `Idempotency-Key`. */
export function Idempotent(): MethodDecorator & ClassDecorator {
  return applyDecorators(
    UseInterceptors(IdempotencyInterceptor),
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description: 'Makes the request safe to repeat: repeats within 24 h get the first answer.',
      schema: { type: 'string', maxLength: 128 },
    }),
  );
}
