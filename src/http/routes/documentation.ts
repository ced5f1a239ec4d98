import { readFile } from 'node:fs/promises'
import fastifyCors from '@fastify/cors'
import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Config } from '../../config.ts'
import { describeApi } from '../openapi.ts'

interface DocumentationOptions {
  readonly config: Pick<Config, 'corsOrigins' | 'publicUrl'>
}

const ERRORS_PAGE = new URL('../../../docs/errors.md', import.meta.url)

/**
 * `GET /openapi.json`, the page at /docs, and the explanations of the errors at /docs/errors. Registered before the
 * routes that it describes.
 */
export const documentation = fastifyPlugin(async (app: FastifyInstance, { config }: DocumentationOptions) => {
  await app.register(fastifySwagger, describeApi(config.publicUrl))
  // Each under a prefix of its own: the CORS plugin answers every OPTIONS below the prefix that it stands in.
  await app.register(description, { prefix: '/openapi.json', config })
  await app.register(pages, { prefix: '/docs', config })
})

async function description(app: FastifyInstance, { config }: DocumentationOptions): Promise<void> {
  await openToReaders(app, config)
  app.get('', { schema: { hide: true } }, async () => app.swagger())
}

async function pages(app: FastifyInstance, { config }: DocumentationOptions): Promise<void> {
  const errorsPage = await readFile(ERRORS_PAGE, 'utf8')
  await openToReaders(app, config)
  await app.register(fastifySwaggerUi, {
    routePrefix: '/',
    staticCSP: true,
    // The page's own rule would send its files over HTTPS, which a local Jeton does not speak.
    transformStaticCSP: (rule) =>
      rule.replace('upgrade-insecure-requests;', '').replace(' validator.swagger.io', ''),
    // No "try it" buttons: a secret key has no place in a browser, and Jeton refuses one that comes from there.
    uiConfig: { supportedSubmitMethods: [], docExpansion: 'list', defaultModelsExpandDepth: -1 },
    theme: {
      title: 'Jeton',
      css: [{ filename: 'jeton.css', content: '.topbar, .auth-wrapper { display: none }' }],
    },
  })
  app.get('', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs/'))
  app.get('/errors', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(errorsPage),
  )
}

async function openToReaders(
  app: FastifyInstance,
  { corsOrigins }: DocumentationOptions['config'],
): Promise<void> {
  app.addHook('onRequest', app.rateLimit())
  if (corsOrigins.length > 0) await app.register(fastifyCors, { origin: [...corsOrigins], methods: ['GET'] })
}
