import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { announce } from '../support/announce.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate, type TestCertificate } from '../support/test-authority.ts';
import { describeProxy, type Surroundings } from './describe-proxy.ts';
import { exceptions } from './exceptions.ts';
import { autheliaStyle, shipped } from './proxy.ts';

let folder: TemporaryFolder | undefined;
let gateway: GatewayProcess | undefined;
let certificate: TestCertificate | undefined;

beforeAll(async () => {
  folder = await temporaryFolder('proxies');
  certificate = await createTestCertificate(folder.path, ['*.example.com']);
  gateway = await startGatewayProcess(join(import.meta.dirname, 'fixtures'), folder.path);
});
afterAll(async () => {
  await gateway?.stop();
  await folder?.remove();
});

/** What the gateway said last, where a test failed. */
afterEach(({ task }) => {
  if (task.result?.state === 'fail')
    announce(`${task.name}; the gateway: ${gateway?.output().slice(-1500) ?? 'not there'}`);
});

const surroundings = (): Surroundings => {
  if (!gateway || !certificate) throw new Error('the gateway did not start');
  return { gateway, certificate };
};
for (const proxy of [...shipped, ...autheliaStyle])
  describeProxy(proxy, exceptions[proxy.name] ?? [], surroundings);
