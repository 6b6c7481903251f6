const MAX_LENGTH = 2_048;

export interface SubsystemEndpoint {
  /** `http://host:port`, without a path: RPC paths stand at the root. */
  readonly origin: string;
  readonly host: string;
}

/**
 * Where a subsystem says that it listens: `http://10.0.0.7:8090`, `https://billing.internal`.
 * @throws RangeError that says what is wrong with it.
 */
export function parseSubsystemEndpoint(text: string): SubsystemEndpoint {
  if (text === '') throw new RangeError('is missing: expected a URL like http://10.0.0.7:8090');
  // The URL parser drops tabs and newlines, and takes a backslash for a slash.
  if (text.length > MAX_LENGTH || /[\s\\\p{Cc}]/u.test(text) || !URL.canParse(text)) {
    throw new RangeError('expected a URL like http://10.0.0.7:8090');
  }
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new RangeError('expected http:// or https://');
  if (url.username !== '' || url.password !== '') throw new RangeError('must not hold credentials');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || /[?#]/.test(text)) {
    throw new RangeError('expected a scheme, a host and a port, without a path, query or fragment');
  }
  if (url.port === '0') throw new RangeError('expected a port from 1 to 65535');
  return { origin: url.origin, host: url.hostname };
}
