/**
 * The JSON of an answer, of which no more is held than was said: whatever answers in the place of Jeton cannot fill the
 * memory of the server that this runs in.
 *
 * @throws when it is larger, or no JSON
 */
export async function readJson(response: Response, limitBytes: number): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop lets go of the connection as well.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > limitBytes) throw new Error(`The answer is larger than ${limitBytes} bytes.`)
    chunks.push(chunk)
  }
  return JSON.parse(new TextDecoder().decode(Buffer.concat(chunks)))
}
