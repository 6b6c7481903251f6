/**
 * What a request took away. 204 carries no content (RFC 9110 section 15.3.5), so the client gets none of it: the audit log
 * reads there whose it was.
 */
export interface Removed {
  readonly tenantId: string;
  readonly name?: string;
}
