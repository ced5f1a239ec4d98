// A certified OAuth server for Node: client credentials, answered with an access token that is a JWT. It is signed with SECRET and
// HS256, or without SECRET as by default, with RS256 and the key that the package brings for a first try.
import { Provider } from 'oidc-provider'

const { SECRET, CLIENT_ID, CLIENT_SECRET } = process.env
const resource = 'https://rt.example.com'
const provider = new Provider('http://127.0.0.1', {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({
        scope: 'rt',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 3600,
        jwt: SECRET === undefined ? undefined : { sign: { alg: 'HS256', key: Buffer.from(SECRET) } },
      }),
    },
  },
})
const server = provider.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  process.stdout.write(`"Server listening at http://127.0.0.1:${server.address().port}"\n`)
})
process.once('SIGINT', () => process.exit())
