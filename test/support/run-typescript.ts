// `node --import run-typescript.ts program.ts`: sources import each other by the names that they have when built.
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    const isOfOurs = specifier.startsWith('.') && context.parentURL?.endsWith('.ts') === true;
    return next(isOfOurs ? specifier.replace(/\.js$/, '.ts') : specifier, context);
  },
});
