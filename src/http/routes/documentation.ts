import { readFile } from 'node:fs/promises'
import fastifyCors from '@fastify/cors'
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type RouteOptions,
} from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Config } from '../../config.ts'
import type { ApiDescription } from '../openapi.ts'

type DocumentationConfig = Pick<Config, 'corsOrigins' | 'publicUrl'>

interface DocumentationOptions {
  readonly config: DocumentationConfig
}

interface ReaderOptions extends DocumentationOptions {
  /** The API's description; the first call makes it. */
  readonly describe: () => Promise<ApiDescription>
}

const ERRORS_PAGE = new URL('../../../docs/errors.md', import.meta.url)

/**
 * `GET /openapi.json`, the page at /docs, and the explanations of the errors at /docs/errors. Registered before the
 * routes that it describes.
 */
export const documentation = fastifyPlugin(async (app: FastifyInstance, { config }: DocumentationOptions) => {
  const describe = describer(app, config)
  // Each under a prefix of its own: the CORS plugin answers every OPTIONS below the prefix that it stands in.
  await app.register(description, { prefix: '/openapi.json', config, describe })
  await app.register(pages, { prefix: '/docs', config, describe })
})

function describer(app: FastifyInstance, { publicUrl }: DocumentationConfig): ReaderOptions['describe'] {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD') routes.push(route)
  })
  return made(async () => {
    const { describeRoutes } = await import('../openapi.ts')
    return await describeRoutes(routes, publicUrl)
  })
}

/** Makes something when it is first asked for. What failed is tried again for whoever asks next. */
function made<Thing>(make: () => Promise<Thing>): () => Promise<Thing> {
  let thing: Promise<Thing> | undefined
  return () => {
    thing ??= make().catch((error: unknown) => {
      thing = undefined
      throw error
    })
    return thing
  }
}

async function description(app: FastifyInstance, { config, describe }: ReaderOptions): Promise<void> {
  await openToReaders(app, config)
  app.get('', { schema: { hide: true } }, async () => (await describe())())
}

async function pages(app: FastifyInstance, { config, describe }: ReaderOptions): Promise<void> {
  const errorsPage = await readFile(ERRORS_PAGE, 'utf8')
  await openToReaders(app, config)
  const page = made(async () => openPage(await describe()))
  app.get('', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs/'))
  app.get('/errors', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(errorsPage),
  )
  app.get('/*', { schema: { hide: true } }, async (request, reply) => {
    return await handOn(await page(), request, reply)
  })
}

/**
 * The page, as an app of its own that does not listen: most processes are never asked for it, and with what it loads it
 * takes 4 MB.
 */
async function openPage(description: ApiDescription): Promise<FastifyInstance> {
  const { default: fastifySwaggerUi } = await import('@fastify/swagger-ui')
  const page = fastify({ routerOptions: { ignoreDuplicateSlashes: true } })
  // The page asks for the plugin that describes; what it is to show is described already.
  const described = fastifyPlugin(async (app) => void app.decorate('swagger', description), {
    name: '@fastify/swagger',
  })
  await page.register(described)
  await page.register(fastifySwaggerUi, {
    routePrefix: '/docs',
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
  return page
}

/** What the page's app is told of a request, and what is taken of its answer. */
const ASKED = ['accept-encoding', 'if-modified-since', 'if-none-match']
const ANSWERED = [
  'cache-control',
  'content-encoding',
  'content-security-policy',
  'content-type',
  'etag',
  'last-modified',
  'location',
  'vary',
]

async function handOn(
  page: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const answer = await page.inject({ url: request.url, headers: pick(request.headers, ASKED) })
  if (answer.statusCode >= 500) throw new Error(`The documentation page answered ${answer.statusCode}`)
  // A path that leads nowhere, or out of its folder.
  if (answer.statusCode >= 400) reply.callNotFound()
  else {
    // Its links lead elsewhere, where nobody needs to know what this host is called.
    const headers = { ...pick(answer.headers, ANSWERED), 'referrer-policy': 'no-referrer' }
    reply.code(answer.statusCode).headers(headers).send(answer.rawPayload)
  }
  return reply
}

function pick<Value>(
  headers: Readonly<Record<string, Value | undefined>>,
  names: readonly string[],
): Record<string, Value> {
  const picked: Record<string, Value> = {}
  for (const name of names) {
    const value = headers[name]
    if (value !== undefined) picked[name] = value
  }
  return picked
}

async function openToReaders(app: FastifyInstance, { corsOrigins }: DocumentationConfig): Promise<void> {
  app.addHook('onRequest', app.rateLimit())
  if (corsOrigins.length > 0) await app.register(fastifyCors, { origin: [...corsOrigins], methods: ['GET'] })
}
