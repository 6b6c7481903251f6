import { CommandError, badValue } from '../command-error.js';

/**
 * A JS pattern for MongoDB's `i m s x u` options. Throws 51091 for a pattern JS cannot compile.
 * Patterns come from this service's own code, not from its users: backtracking is not bounded here.
 */
export function compileRegex(pattern: string, options: string): RegExp {
  const unknown = /[^imsxu]/.exec(options);
  if (unknown) throw badValue(`invalid flag in regex options: ${unknown[0]}`);
  let source = pattern;
  let flags = options.replace(/[xu]/g, '');
  const inline = /^\(\?([ims]+)\)/.exec(source);
  if (inline) {
    source = source.slice(inline[0].length);
    flags += inline[1];
  }
  if (options.includes('x')) source = source.replace(/\\.|\s+|#.*$/gm, (part) => (part.startsWith('\\') ? part : ''));
  const unique = [...new Set(flags)].join('');
  try {
    return new RegExp(source, `${unique}u`);
  } catch {
    // JS's unicode mode refuses escapes that PCRE allows (`\-`); the mode without it takes them.
    try {
      return new RegExp(source, unique);
    } catch (error) {
      throw new CommandError(51091, `regular expression is invalid: ${(error as Error).message}`);
    }
  }
}
