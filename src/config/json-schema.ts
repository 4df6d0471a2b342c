import type { JsonSchema } from '../lib/schema.ts';
import { jsonSchemaOf } from './outline.ts';
import { configurationOutline } from './schema.ts';

/** For editors. Deprecated keys are not in it, so that an editor marks them. */
export const configurationJsonSchema: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Configuration of Sallyport',
  ...jsonSchemaOf(configurationOutline),
};
