import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, it } from 'node:test'
import { LOG_LEVELS } from '../src/config.ts'
import { createLog } from '../src/log.ts'
import { createLogLevels } from '../src/log-level.ts'

describe('a signal to the log', () => {
  for (const configured of LOG_LEVELS) {
    const other = configured === 'debug' ? 'info' : 'debug'
    it(`changes it from ${configured} to ${other}, and back`, () => {
      const lines: string[] = []
      const stream = new Writable({ write: (line, _encoding, done) => done(void lines.push(String(line))) })
      const log = createLog(configured, stream)
      const levels = createLogLevels(log, configured)
      levels.toggle({ signal: 'SIGUSR2' })
      assert.deepEqual([levels.current(), log.level], [other, other])
      levels.toggle({ signal: 'SIGUSR2' })
      assert.deepEqual([levels.current(), log.level], [configured, configured])
      assert.equal(lines.filter((line) => line.includes('log level changed')).length, 2)
    })
  }
})
