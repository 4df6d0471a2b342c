import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { root } from '../support/environment.ts';

/** Traefik runs only where somebody installed it, so its files are read too: every name leads somewhere, nothing is left open. */
interface Router {
  readonly rule: string;
  readonly middlewares: readonly string[];
  readonly service: string;
}
interface Middleware {
  readonly chain?: { readonly middlewares: readonly string[] };
  readonly forwardAuth?: Readonly<Record<string, unknown>>;
  readonly headers?: { readonly customRequestHeaders: Readonly<Record<string, string>> };
}
interface Dynamic {
  readonly http: {
    readonly routers: Readonly<Record<string, Router>>;
    readonly middlewares: Readonly<Record<string, Middleware>>;
    readonly services: Readonly<
      Record<string, { readonly loadBalancer: { readonly serversTransport?: string } }>
    >;
    readonly serversTransports: Readonly<Record<string, unknown>>;
  };
}

const read = async (name: string): Promise<unknown> =>
  parse(await readFile(join(root, 'deploy/traefik', name), 'utf8')) as unknown;

describe('the files for Traefik', () => {
  it('trust no forwarding header of a visitor', async () => {
    const text = JSON.stringify(await read('traefik.yml'));
    expect(text).not.toContain('forwardedHeaders');
    expect(text).not.toContain('insecure');
  });

  it('protect every router but the portal, strip before they ask, and name what exists', async () => {
    const { http } = (await read('sallyport.yml')) as Dynamic;
    const names = Object.keys(http.middlewares);
    for (const [name, router] of Object.entries(http.routers)) {
      expect(router.middlewares).toEqual([name === 'portal' ? 'sallyport-strip' : 'sallyport']);
      expect(Object.keys(http.services)).toContain(router.service);
      expect(names).toEqual(expect.arrayContaining([...router.middlewares]));
    }
    const { sallyport, 'sallyport-ask': ask, 'sallyport-strip': strip } = http.middlewares;
    expect(sallyport?.chain?.middlewares).toEqual(['sallyport-strip', 'sallyport-ask']);
    expect(ask?.forwardAuth).toMatchObject({
      address: 'http://127.0.0.1:9091/api/authz/forward-auth',
      trustForwardHeader: false,
      authResponseHeaders: ['Remote-User', 'Remote-Groups', 'Remote-Name', 'Remote-Email'],
    });
    expect(new Set(Object.values(strip?.headers?.customRequestHeaders ?? {}))).toEqual(new Set(['']));
    expect(Object.keys(http.serversTransports)).toContain(
      http.services.portal?.loadBalancer.serversTransport,
    );
  });
});
