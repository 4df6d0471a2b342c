import { choice, flag, section, url } from '../lib/schema.ts';

/** `theme` */
export const themeSchema = choice('light', 'dark', 'grey', 'oled', 'auto')
  .prefault('light')
  .describe('Colours of the portal; `auto` follows the browser.');

/** `privacy_policy` */
export const privacyPolicySchema = section({
  enabled: flag().prefault(false).describe('Shows a link to the privacy policy.'),
  require_user_acceptance: flag().prefault(false).describe('Asks each person to accept it.'),
  policy_url: url('https').optional().describe('Where it stands.'),
}).superRefine((policy, context) => {
  if (policy.enabled && policy.policy_url === undefined) {
    context.addIssue({
      code: 'custom',
      path: ['policy_url'],
      message: 'is required when the privacy policy is enabled',
    });
  }
});
