/** What a person who has just started the service wants to know. */
export function greeting(url: string): Record<string, string> {
  return {
    api: `${url}/api/v1`,
    docs: `${url}/docs`,
    next: `kubectl config view --raw --flatten --minify | curl --data-binary @- -H 'content-type: application/yaml' '${url}/api/v1/clusters?name=my-cluster'`,
  };
}
