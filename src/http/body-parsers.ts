import { type Request, type RequestHandler, json, text } from 'express';
import { AppError } from '../errors/app-error.js';
import { nestingDepth } from './nesting.js';
import { UnreadBody, hasBody } from './unread-body.js';

const MAX_BODY = '1mb';
/** A job's payload and result may have 1 MiB by themselves, and there is something around them. */
const MAX_JOB_BODY = '2mb';
const MAX_DEPTH = 64;
export const YAML_TYPES = ['application/yaml', 'application/x-yaml', 'text/yaml'];
const READ_TYPES = ['application/json', ...YAML_TYPES];

/** JSON to a value, YAML to its text; both at most 1 MiB, JSON of jobs 2 MiB. Any other body is left unread, and refused where one is wanted. */
export function bodyParsers(): RequestHandler[] {
  const refused = new WeakMap<object, string>();
  // An error thrown here would be rewritten by the parser, so it is thrown by the next handler.
  const verify = (request: object, _response: unknown, body: Buffer): void => {
    if (nestingDepth(body) > MAX_DEPTH) refused.set(request, `the body nests deeper than ${MAX_DEPTH} levels`);
    else if (hasProtoKey(body)) refused.set(request, 'the body has a key "__proto__"');
  };
  const ofJobs = json({ limit: MAX_JOB_BODY, verify });
  const ofOthers = json({ limit: MAX_BODY, verify });
  return [
    (request, response, next) => (isOfJobs(request) ? ofJobs : ofOthers)(request, response, next),
    (request: Request, _response, next) => {
      const problem = refused.get(request);
      next(problem === undefined ? undefined : new AppError('request.malformed', problem));
    },
    text({ limit: MAX_BODY, type: YAML_TYPES }),
    (request: Request, _response, next) => {
      if (request.body === undefined && hasBody(request) && !request.is(READ_TYPES)) {
        request.body = new UnreadBody(request.headers['content-type']);
      }
      next();
    },
  ];
}

function isOfJobs({ path }: Request): boolean {
  return /^\/api\/v1\/jobs(\/|$)/i.test(path);
}

const PROTO_KEY = /"__proto__"\s*:/;

/** As a key, be it written with escapes; as a value it does no harm. */
function hasProtoKey(body: Buffer): boolean {
  if (!body.includes('__proto__') && !body.includes('\\u')) return false;
  const text = body.toString();
  return PROTO_KEY.test(text.includes('\\u') ? text.replaceAll(/\\u00([0-7][0-9a-f])/gi, unescaped) : text);
}

const unescaped = (_: string, code: string): string => String.fromCodePoint(Number.parseInt(code, 16));
