import { SignallingClient } from '/metered-realtime.js'

const COLOR = /^#[0-9a-f]{6}$/
/** What a close code means for whoever reads this page. */
const meanings = {
  4001: 'The server does not take this token any more, so the client gave up.',
  4002: 'The token had ended.',
  4003: 'The token is not for this channel, so the client gave up.',
}

const find = (id) => document.querySelector(`#${id}`)
const me = await ask('api/me')
/** Everyone else who is here, by id, with what their token says about them. */
const peers = new Map()

const client = new SignallingClient({
  url: me.realtimeUrl,
  // Asked now, and whenever the client has to connect anew: each time with a fresh token.
  tokenProvider: async () => (await ask('api/mint-signalling-token')).token,
})

client.on('connected', ({ isReconnect }) => {
  setStatus('online', isReconnect ? 'Connected again' : 'Connected')
  // What is known of the others is from before. The client subscribes again, and is told anew.
  peers.clear()
  showPeers()
})
client.on('disconnected', ({ code, reason, willReconnect }) => {
  if (willReconnect) setStatus('waiting', `Reconnecting after ${code} ${reason}`)
  else showEnd(code, reason)
})
client.on('presence', ({ joined, left }) => {
  for (const { peerId, metadata } of joined)
    if (peerId !== me.id) peers.set(peerId, readPerson(peerId, metadata))
  for (const { peerId } of left) peers.delete(peerId)
  showPeers()
})
client.on('message', ({ from, fromMetadata, data }) => {
  if (typeof data?.text === 'string') showMessage(readPerson(from, fromMetadata), data.text)
})
client.on('direct', ({ from, fromMetadata }) => {
  showMessage(readPerson(from, fromMetadata), 'waves at you', 'direct')
})

find('me').append(avatarOf(me), me.name)
document.title = `${me.name} · Lobby`
find('composer').addEventListener('submit', say)
showPeers()
try {
  await client.connect()
  await client.subscribe(me.channel, { includeSenderMetadata: true })
} catch (error) {
  if (client.state !== 'closed') setStatus('waiting', error.message)
}

async function say(event) {
  event.preventDefault()
  const { text } = event.target.elements
  const said = text.value.trim()
  if (said === '') return
  try {
    await client.publish(me.channel, { text: said })
    showMessage(me, said, 'own')
    text.value = ''
  } catch (error) {
    setStatus('waiting', `Not sent: ${error.message}`)
  }
}

async function ask(path, body) {
  const init = body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  }
  const answer = await fetch(path, init)
  if (!answer.ok) throw new Error(`The backend answered ${answer.status}`)
  return answer.status === 204 ? undefined : answer.json()
}

/** What others are is what their token says; still, nothing that came over the wire is more than text here. */
function readPerson(id, { name, color } = {}) {
  return { id, name: String(name ?? id), color: COLOR.test(color) ? color : '#64748b' }
}

function showPeers() {
  const items = [...peers.values()].map((peer) => {
    const item = document.createElement('li')
    const name = document.createElement('span')
    name.textContent = peer.name
    item.append(
      avatarOf(peer),
      name,
      buttonOf(`Wave`, `Wave at ${peer.name}`, () => client.send(peer.id, { wave: true })),
      buttonOf('Shut out', `Shut ${peer.name} out`, () => ask('api/revoke', { peerId: peer.id })),
    )
    return item
  })
  const own = document.createElement('li')
  own.append(avatarOf(me), `${me.name} (you)`)
  find('peers').replaceChildren(own, ...items)
}

function buttonOf(text, label, act) {
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = text
  button.setAttribute('aria-label', label)
  button.addEventListener('click', () => act().catch((error) => setStatus('waiting', error.message)))
  return button
}

function showMessage(person, text, kind = 'other') {
  const item = document.createElement('li')
  item.className = kind
  item.style.setProperty('--color', person.color)
  const name = document.createElement('strong')
  name.textContent = person.name
  const words = document.createElement('span')
  words.textContent = text
  item.append(avatarOf(person), name, words)
  find('messages').append(item)
  item.scrollIntoView({ block: 'nearest' })
}

function avatarOf({ name, color }) {
  const avatar = document.createElement('span')
  avatar.className = 'avatar'
  avatar.textContent = name.slice(0, 1)
  avatar.setAttribute('aria-hidden', 'true')
  avatar.style.setProperty('--color', color)
  return avatar
}

function setStatus(kind, text) {
  const status = find('status')
  status.className = kind
  status.textContent = text
}

function showEnd(code, reason) {
  setStatus('offline', 'Disconnected')
  if (reason === 'token_revoked') find('shut-out-title').textContent = 'You were shut out'
  find('close-code').textContent = String(code)
  find('close-reason').textContent = reason || 'none'
  find('close-meaning').textContent = meanings[code] ?? ''
  find('shut-out').hidden = false
  for (const control of document.querySelectorAll('main button, main input')) control.disabled = true
}
