import { GatewayError } from '../http/errors.ts';

interface MemberTypes {
  string: string;
  number: number;
  boolean: boolean;
}

/** The named members of a JSON body; null counts as absent, other members are ignored, another type is an error. */
export function members<const T extends Readonly<Record<string, keyof MemberTypes>>>(
  body: unknown,
  types: T,
): { readonly [K in keyof T]?: MemberTypes[T[K]] } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new GatewayError('malformed-body', 'The body must be a JSON object.');
  }
  const out: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(types)) {
    const value: unknown = Object.hasOwn(body, name) ? (body as Record<string, unknown>)[name] : undefined;
    if (value === undefined || value === null) continue;
    if (typeof value !== type)
      throw new GatewayError('malformed-body', `The member ${name} must be a ${type}.`);
    out[name] = value;
  }
  return out as { readonly [K in keyof T]?: MemberTypes[T[K]] };
}
