import fastifySwagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { type FastifyInstance, fastify, type RouteOptions } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { z } from 'zod'
import packageJson from '../../package.json' with { type: 'json' }
import { problemSchema } from './errors.ts'

type Transform = typeof jsonSchemaTransform

/** Gives the OpenAPI document, as an object or as YAML. */
export type ApiDescription = FastifyInstance['swagger']

/**
 * Describes routes, as an OpenAPI 3.1 document: from their own zod schemas, each with a call that works when it is pasted.
 * Loaded when somebody asks, since most processes never are. The plugin that describes looks at the routes of an app while
 * they are registered, so they are registered once more, in an app that does nothing else.
 */
export async function describeRoutes(
  routes: readonly RouteOptions[],
  publicUrl: string,
): Promise<ApiDescription> {
  const app = fastify({ exposeHeadRoutes: false })
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  await app.register(fastifySwagger, descriptionOf(publicUrl))
  for (const { method, url, schema = {} } of routes) app.route({ method, url, schema, handler: () => {} })
  await app.ready()
  return app.swagger
}

function descriptionOf(publicUrl: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Jeton',
        version: packageJson.version,
        description: 'Mints short-lived tokens for realtime apps. Errors are explained at /docs/errors.',
      },
      servers: [{ url: publicUrl }],
      tags: ['Tokens', 'Gate', 'Environments', 'Keys', 'Signing keys', 'Operations'].map((name) => ({
        name,
      })),
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'sk_… or kid_…:sk_…' },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-KEY' },
          adminKey: { type: 'http', scheme: 'bearer', description: 'ak_…' },
        },
      },
    },
    transform: describeRoute(publicUrl),
  }
}

// Adds to every route what all of them share: the shape of errors, and for those with an example body the keys that
// they take and the call to paste.
function describeRoute(publicUrl: string): Transform {
  return (route) => {
    if (route.schema === undefined || route.schema.hide === true) return jsonSchemaTransform(route)
    const example = exampleOf(route.schema.body)
    const described = {
      ...route.schema,
      response: { ...responsesOf(route.schema.response), '4xx': problem, '5xx': problem },
    }
    if (example === undefined) return jsonSchemaTransform({ ...route, schema: described })
    const call = curl(`${publicUrl}${route.url}`, example)
    return jsonSchemaTransform({
      ...route,
      schema: { ...described, description: call, security: [{ bearer: [] }, { apiKey: [] }] },
    })
  }
}

const problem = {
  description: 'An error, explained at /docs/errors.',
  content: { 'application/problem+json': { schema: problemSchema } },
}

function responsesOf(response: unknown): object {
  return typeof response === 'object' && response !== null ? response : {}
}

function exampleOf(body: unknown): unknown {
  const examples: unknown = body instanceof z.ZodType ? body.meta()?.examples : undefined
  return Array.isArray(examples) ? examples[0] : undefined
}

/** A call as one pastes it, with the key in a variable so that it stays out of the shell's history. */
function curl(url: string, body: unknown): string {
  const lines = [
    `curl ${url}`,
    '  -H "Authorization: Bearer $JETON_SECRET_KEY"',
    "  -H 'Content-Type: application/json'",
    `  -d '${JSON.stringify(body)}'`,
  ]
  return `\`\`\`sh\n${lines.join(' \\\n')}\n\`\`\``
}
