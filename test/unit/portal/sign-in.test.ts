import { describe, expect, it } from 'vitest';
import { portalAddress, signIn } from '../../../web/src/sign-in.ts';
import { login } from './sample-pages.ts';

const credentials = { username: 'john', password: ' p"w ', remember: true };
const answering =
  (body: string, status = 200) =>
  () =>
    Promise.resolve(new Response(body, { status }));

describe('signIn', () => {
  it('sends JSON to the API below the base', async () => {
    const sent: [string, RequestInit][] = [];
    await signIn(login, '/sso/', credentials, (url, init) => {
      sent.push([url, init]);
      return answering('{"status":"OK"}')();
    });
    const [[url, init] = []] = sent;
    expect(sent).toHaveLength(1);
    expect(url).toBe('/sso/api/firstfactor');
    expect(init?.method).toBe('POST');
    expect(init?.headers).toMatchObject({ 'content-type': 'application/json' });
    expect(JSON.parse(String(init?.body))).toEqual({
      username: 'john',
      password: ' p"w ',
      keepMeLoggedIn: true,
      targetURL: login.target?.url,
      requestMethod: 'GET',
    });
  });

  it('sends no target where there is none', async () => {
    let body: unknown;
    await signIn(
      { ...login, target: null, requestMethod: null },
      '/',
      { ...credentials, remember: false },
      (_url, init) => {
        body = JSON.parse(String(init.body));
        return answering('{}')();
      },
    );
    expect(body).toEqual({ username: 'john', password: ' p"w ', keepMeLoggedIn: false });
  });

  it.each([
    ['{"status":"OK","data":{"redirect":"https://one.example.com/"}}', 'https://one.example.com/'],
    ['{"status":"OK"}', null],
    ['{"status":"OK","data":{}}', null],
    ['{"status":"OK","data":{"redirect":"javascript:alert(1)"}}', null],
    ['{"status":"OK","data":{"redirect":["https://x"]}}', null],
  ])('goes where the answer says: %s', async (body, redirect) => {
    expect(await signIn(login, '/', credentials, answering(body))).toEqual({ status: 'signed-in', redirect });
  });

  it.each([
    [401, 'credentials'],
    [403, 'forbidden'],
    [429, 'busy'],
    [503, 'unavailable'],
    [500, 'unavailable'],
    [400, 'unavailable'],
    [502, 'unavailable'],
  ])('says what %d means', async (status, error) => {
    expect(await signIn(login, '/', credentials, answering('<html>', status))).toEqual({
      status: 'failed',
      error,
    });
  });

  it.each(['<html>', '', 'null', '{"status":"KO"}', '[]'])('takes no success from %j', async (body) => {
    expect(await signIn(login, '/', credentials, answering(body))).toEqual({
      status: 'failed',
      error: 'unavailable',
    });
  });

  it('says that nobody answered', async () => {
    const outcome = await signIn(login, '/', credentials, () =>
      Promise.reject(new TypeError('Failed to fetch')),
    );
    expect(outcome).toEqual({ status: 'failed', error: 'network' });
  });
});

it('leads back to the portal with the target', () => {
  expect(portalAddress({ ...login, target: null }, '/sso/')).toBe('/sso/');
  const address = new URL(portalAddress(login, '/sso/'), 'https://login.example.com');
  expect(address.pathname).toBe('/sso/');
  expect(Object.fromEntries(address.searchParams)).toEqual({ rd: login.target?.url, rm: 'GET' });
});
