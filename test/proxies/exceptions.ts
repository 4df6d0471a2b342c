import type { Exception } from './rows.ts';

/** What does not hold behind a proxy, by its name. */
export const exceptions: Readonly<Record<string, readonly Exception[]>> = {
  caddy: [
    {
      row: 'a 200 without any identity opens the page without any identity',
      reason:
        'Caddy 2.6 passes on the name of its own placeholder; Sallyport never leaves an identity header out.',
    },
  ],
  envoy: [
    {
      row: 'Connection cannot take the identity away',
      reason: 'Envoy refuses such a request with 400.',
    },
  ],
};
