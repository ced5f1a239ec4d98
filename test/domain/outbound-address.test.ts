import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Reach, reachOf } from '../../src/domain/outbound-address.ts'

describe('where an address leads', () => {
  const addresses: Record<Reach, string[]> = {
    public: [
      '1.1.1.1',
      '9.255.255.255',
      '11.0.0.0',
      '172.15.0.1',
      '172.32.0.1',
      '100.128.0.1',
      '2606:4700::1111',
      '2a00:1450:4001::1',
    ],
    private: [
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      '127.0.0.1',
      '127.255.0.9',
      '::1',
      'fc00::1',
      'fd12::1',
    ],
    never: [
      '0.0.0.0',
      '0.1.2.3',
      '169.254.169.254',
      '169.254.170.2',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
      '192.0.2.1',
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.7',
      '224.0.0.1',
      '239.255.255.255',
      '240.0.0.1',
      '255.255.255.255',
      '::',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::ffff:10.0.0.1',
      '::ffff:8.8.8.8',
      '::127.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b::808:808',
      '64:ff9b:1::1',
      '100::1',
      '2001::1',
      '2001:db8::1',
      '2002:7f00:1::',
      '3fff::1',
      '5f00::1',
      'fe80::1',
      'fe80::1%eth0',
      '2606:4700::1111%eth0',
      'fec0::1',
      'ff02::1',
      'fd00:ec2::254',
      'localhost',
      '0x7f000001',
      '',
    ],
  }
  for (const [reach, list] of Object.entries(addresses)) {
    for (const address of list) {
      it(`of ${address || 'nothing'} is ${reach}`, () => {
        assert.equal(reachOf(address), reach)
      })
    }
  }
})
