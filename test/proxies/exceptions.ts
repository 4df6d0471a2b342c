import type { Exception } from './rows.ts';

const envoyRefuses = 'Envoy refuses such a request itself.';
const traefikWaits = 'Traefik waits 30 seconds for a decision, and that cannot be set.';
const redirectsAll = 'These files make every 401 of the gateway a 302.';

/** What does not hold behind a proxy, by its name. */
export const exceptions: Readonly<Record<string, readonly Exception[]>> = {
  envoy: [
    {
      row: 'Connection cannot take the identity away',
      reason: envoyRefuses,
      instead: { status: 400, reaches: false },
    },
  ],
  traefik: [
    { row: 'no answer: nothing gets through', reason: traefikWaits },
    { row: 'a frozen gateway closes everything within seconds, then it goes on', reason: traefikWaits },
  ],
  'nginx, as documented for Authelia': [
    {
      row: 'an anonymous POST is sent to the portal as a GET',
      reason: redirectsAll,
      instead: { status: 302 },
    },
    { row: 'a script that is not signed in gets 401', reason: redirectsAll, instead: { status: 302 } },
    {
      row: 'a program that asks for JSON and is not signed in gets 401',
      reason: redirectsAll,
      instead: { status: 302 },
    },
    {
      row: 'a wrong Basic password is 401 and not a redirect',
      reason: redirectsAll,
      instead: { status: 302 },
    },
    { row: 'no answer: nothing gets through', reason: 'These files let nginx wait for 240 seconds.' },
  ],
  'caddy, as documented for Authelia': [
    {
      row: 'parallel requests of several people are never mixed up',
      reason:
        'While it opens many connections, Caddy 2.6 rarely loses an answer’s headers and passes on its placeholders.',
    },
    { row: 'no answer: nothing gets through', reason: 'These files set no limit, and Caddy waits for ever.' },
  ],
  'envoy, as documented for Authelia': [
    {
      row: 'a script that is not signed in gets 401',
      reason: 'These files keep X-Requested-With from the gateway.',
      instead: { status: 302 },
    },
    {
      row: 'one factor opens the page, and the application sees who it is',
      reason: 'These files set no X-Forwarded-Host for the application.',
      instead: { seen: { 'Remote-User': 'john', 'Remote-Groups': 'dev,admins', 'Remote-Name': 'John Doe' } },
    },
    {
      row: 'a network rule sees the address of the client',
      reason: 'These files keep X-Forwarded-For from the gateway.',
      instead: { status: 302, reaches: false },
    },
    {
      row: 'a wrong Basic password is 401 and not a redirect',
      reason: 'These files let Envoy wait for 0.25 seconds, which is the least that a failure takes.',
      instead: { status: 403, reaches: false },
    },
  ],
};
