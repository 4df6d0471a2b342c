/** What a client did wrong, or what is missing, by code. The message is shown to the client: it names, it never reflects. */
export class GatewayError extends Error {
  override name = 'GatewayError';
  readonly code: ErrorCode;
  readonly status: number;
  /** Seconds after which it is worth another try; null: not said. */
  readonly retryAfter: number | null;

  constructor(
    code: ErrorCode,
    message?: string,
    options: ErrorOptions & { readonly retryAfter?: number } = {},
  ) {
    super(message ?? errors[code].message, options);
    this.code = code;
    this.status = errors[code].status;
    this.retryAfter = options.retryAfter ?? (this.status === 503 ? UNAVAILABLE_RETRY : null);
  }
}

/** Seconds. */
const UNAVAILABLE_RETRY = 2;

const errors = {
  'bad-request': { status: 400, message: 'Bad Request' },
  'malformed-body': { status: 400, message: 'The body cannot be read.' },
  forbidden: { status: 403, message: 'Forbidden' },
  'cross-site': { status: 403, message: 'This request did not come from the portal itself.' },
  'not-found': { status: 404, message: 'Not Found' },
  'method-not-allowed': { status: 405, message: 'Method Not Allowed' },
  'too-large': { status: 413, message: 'Content Too Large' },
  'media-type': { status: 415, message: 'Unsupported Media Type' },
  'too-many-requests': { status: 429, message: 'Too Many Requests' },
  internal: { status: 500, message: 'Internal Server Error' },
  unavailable: { status: 503, message: 'Service Unavailable' },
} as const;

export type ErrorCode = keyof typeof errors;
