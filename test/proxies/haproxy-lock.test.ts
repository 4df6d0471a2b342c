import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mustBeComplete } from '../support/environment.ts';
import { type StandInGateway, startStandInGateway } from '../support/stand-in-gateway.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate } from '../support/test-authority.ts';
import { type Proxy, shipped } from './proxy.ts';
import { openSite, type Site } from './site.ts';

/** HAProxy goes on with a request when a Lua action fails; the line after the action must hold the door. */
const faults: readonly (readonly [what: string, shipped: string, broken: string])[] = [
  ['fails before it asks', 'core.httpclient()', 'error("broken")'],
  ['fails after it asked', 'if response.status == 200', 'error("broken") if response.status == 200'],
  ['does not get to its end', 'local headers = {', 'while true do end local headers = {'],
];

const haproxy = shipped.find(({ name }) => name === 'haproxy') as Proxy;

describe.skipIf(haproxy.find() === undefined && !mustBeComplete)('the HAProxy script', () => {
  let folder: TemporaryFolder;
  let standIn: StandInGateway;

  beforeAll(async () => {
    folder = await temporaryFolder('haproxy-lock');
    standIn = await startStandInGateway();
  });
  afterAll(async () => {
    await standIn?.close();
    await folder?.remove();
  });

  it.each(faults)('closes the site when it %s', async (_what, from, to) => {
    const broken: Proxy = {
      ...haproxy,
      substitutions: (places) => [
        ...haproxy.substitutions(places),
        [from, to],
        ['lua-load-per-thread', 'tune.lua.session-timeout 300\n    lua-load-per-thread'],
      ],
    };
    let site: Site | undefined;
    try {
      site = await openSite(
        broken,
        standIn.port,
        await createTestCertificate(folder.path, ['*.example.com']),
      );
      const before = site.arrivals();
      const answer = await site.ask({ target: '/' });
      expect(answer.status).toBe(403);
      expect(before + site.arrivals()).toBe(0);
    } finally {
      await site?.close();
    }
  });
});
