import { choice, duration, flag, integer, secret, section } from '../lib/schema.ts';

/** `identity_validation` */
export const identityValidationSchema = section({
  reset_password: section({
    jwt_secret: secret()
      .optional()
      .describe('Accepted and not needed: a link carries 256 random bits in the place of a signature.'),
    jwt_lifespan: duration().prefault('5m').describe('How long a link holds.'),
    jwt_algorithm: choice('HS256', 'HS384', 'HS512')
      .prefault('HS256')
      .describe('Accepted and not needed, as `jwt_secret`.'),
  })
    .prefault({})
    .describe('Links by which one proves a mail address for a new password.'),
  elevated_session: section({
    code_lifespan: duration().prefault('5m').describe('How long a mailed code holds.'),
    elevation_lifespan: duration()
      .prefault('10m')
      .describe('How long one may change credentials after that.'),
    characters: integer(6, 20).prefault(8).describe('Length of the code.'),
    require_second_factor: flag().prefault(false).describe('Who has a second factor must have used it too.'),
    skip_second_factor: flag().prefault(false).describe('Who has used a second factor needs no code.'),
  })
    .prefault({})
    .describe('Codes that are asked before credentials are changed.'),
});
