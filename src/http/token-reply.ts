import type { FastifyReply } from 'fastify'
import type { Issued } from '../mint/mint.ts'
import { writeRateLimits } from './rate-limit-headers.ts'

/** Answers with a token: nothing on the way may keep it (RFC 6749 §5.1), and the caller learns where its counts stand. */
export function sendToken<Body>(reply: FastifyReply, issued: Issued, body: Body): Body {
  reply.header('Cache-Control', 'no-store')
  writeRateLimits(reply, issued.limits)
  return body
}
