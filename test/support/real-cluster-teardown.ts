/** Jest's globalTeardown of the e2e project. */
// oxlint-disable-next-line import/no-default-export -- Jest asks for it
export default async function tearDownRealCluster(): Promise<void> {
  await globalThis.sharedControlPlane?.stop();
  globalThis.sharedControlPlane = undefined;
}
