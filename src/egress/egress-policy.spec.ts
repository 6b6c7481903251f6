import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type AddressClass, classify } from './address-class.js';
import { type Cidr, parseCidr } from './cidr.js';
import { EgressPolicy } from './egress-policy.js';
import { EgressRefused } from './egress-refused.js';
import { formatIp, parseHostAddress, parseIp } from './ip-address.js';

const blocks = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text) as Cidr);

/** Spellings that the URL parser, resolvers or the kernel take for an address, by what they reach. */
const SPELLINGS: Readonly<Record<AddressClass, readonly string[]>> = {
  loopback: [
    '127.0.0.1',
    '127.1',
    '127.0.1',
    '127.255.255.254',
    '2130706433',
    '0x7f000001',
    '0x7f.0.0.1',
    '0x7f.1',
    '017700000001',
    '0177.0.0.1',
    '0177.1',
    '127.0.0.1.',
    '127.0.0.01',
    '127.000.000.001',
    '１２７.０.０.１',
    '⑫7.0.0.1',
    '127。0。0。1',
    '::1',
    '[::1]',
    '0:0:0:0:0:0:0:1',
    '0000:0000:0000:0000:0000:0000:0000:0001',
    '::ffff:127.0.0.1',
    '[::ffff:127.0.0.1]',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:127.0.0.1',
    '::FFFF:7F00:0001',
  ],
  never: [
    '0.0.0.0',
    '0',
    '0x0',
    '0.1.2.3',
    '::',
    '[::]',
    '0:0:0:0:0:0:0:0',
    '169.254.169.254',
    '169.254.0.1',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '169.254.43518',
    '0xA9.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '[::ffff:a9fe:a9fe]',
    '64:ff9b::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::127.0.0.1',
    '64:ff9b:1::1',
    '2002:a9fe:a9fe::',
    '2002:7f00:1::1',
    '::169.254.169.254',
    '::127.0.0.1',
    'fe80::1',
    'febf::1',
    'fec0::1',
    'fd00:ec2::254',
    'FD00:EC2:0:0::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    '168.63.129.16',
    '192.0.0.192',
    '100.100.100.200',
    '192.0.0.1',
    '192.0.2.1',
    '198.51.100.7',
    '203.0.113.9',
    '224.0.0.1',
    '239.255.255.250',
    '240.0.0.1',
    '255.255.255.255',
    '4294967295',
    '192.88.99.1',
    'ff02::1',
    '2001::1',
    '2001:db8::1',
    '100::1',
    '3fff::1',
  ],
  private: [
    '10.0.0.1',
    '10.1',
    '0xa000001',
    '012.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '192.168.257',
    '3232235777',
    '100.64.0.1',
    '100.127.255.254',
    '198.18.0.1',
    'fc00::1',
    'fdff:ffff::1',
    '::ffff:10.0.0.1',
    '64:ff9b::10.0.0.1',
    '2002:a00:1::1',
  ],
  public: [
    '8.8.8.8',
    '134744072',
    '1.1',
    '172.32.0.1',
    '100.63.255.255',
    '169.253.1.1',
    '2606:4700:4700::1111',
    '64:ff9b::8.8.8.8',
    '::ffff:8.8.8.8',
    '2002:808:808::1',
  ],
};

describe('classes of addresses', () => {
  const cases = Object.entries(SPELLINGS).flatMap(([wanted, list]) => list.map((text) => [text, wanted] as const));

  it.each(cases)('%s is %s', (text, wanted) => {
    const address = parseHostAddress(text);
    expect(address && classify(address)).toBe(wanted);
  });

  it.each(['example.com', 'localhost', 'kubernetes.default.svc', '127.0.0.1.nip.io', '1.2.3.4.5.example'])(
    '%s is a name',
    (text) => expect(parseHostAddress(text)).toBeUndefined(),
  );

  it.each([
    '',
    ' ',
    '127.0.0.1/x',
    'a@127.0.0.1',
    '127.0.0.1#',
    '256.256.256.256',
    '0x100000000',
    'fe80::1%eth0',
    '[::1',
    'a b',
  ])('%j is neither', (text) => expect(() => parseHostAddress(text)).toThrow());

  it('reads its own writing, for every address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseIp(text);
        expect(address).toBeDefined();
        expect(address && parseIp(formatIp(address))).toEqual(address);
      }),
    );
  });

  it('classifies a mapped address as the address itself', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        const [plain, mapped] = [parseIp(text), parseIp(`::ffff:${text}`)];
        expect(mapped && classify(mapped)).toBe(plain && classify(plain));
      }),
    );
  });
});

describe('EgressPolicy', () => {
  const verdict = (policy: EgressPolicy, text: string): string => {
    try {
      policy.check(parseHostAddress(text) ?? { family: 4, bytes: [] });
      return 'allowed';
    } catch (error) {
      if (!(error instanceof EgressRefused)) throw error;
      return error.detail;
    }
  };
  const open = new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly: false });
  const local = new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly: true });

  it('allows public and private addresses, loopback only while it serves loopback only', () => {
    for (const text of [...SPELLINGS.public, ...SPELLINGS.private]) expect(verdict(open, text)).toBe('allowed');
    for (const text of SPELLINGS.loopback) {
      expect(verdict(local, text)).toBe('allowed');
      expect(verdict(open, text)).toMatch(/loopback address.*CROWSNEST_EGRESS_ALLOW/);
    }
  });

  it('never allows what is never allowed, whatever the settings', () => {
    const all = new EgressPolicy({ allow: blocks('0.0.0.0/0', '::/0'), deny: [], servesLoopbackOnly: true });
    for (const text of SPELLINGS.never) expect(verdict(all, text)).toMatch(/link-local, metadata or reserved/);
  });

  it('lets the longest block decide, and DENY at equal length', () => {
    const only = new EgressPolicy({
      allow: blocks('10.1.0.0/16', '127.0.0.1', '10.2.0.0/16'),
      deny: blocks('0.0.0.0/0', '::/0', '10.1.2.0/24', '10.2.0.0/16'),
      servesLoopbackOnly: false,
    });
    expect(verdict(only, '10.1.0.1')).toBe('allowed');
    expect(verdict(only, '::ffff:10.1.0.1')).toBe('allowed');
    expect(verdict(only, '127.0.0.1')).toBe('allowed');
    for (const text of ['127.0.0.2', '10.1.2.3', '10.2.0.1', '8.8.8.8', '2606:4700::1']) {
      expect(verdict(only, text)).toContain('CROWSNEST_EGRESS_DENY');
    }
  });
});

describe('address blocks', () => {
  it.each(['10.0.0.0/33', '10.0.0/8', 'fd00::/129', 'example.com/8', '10.0.0.0/', '10.0.0.0/-1', '::1%lo/128', ''])(
    'refuses %j',
    (text) => expect(parseCidr(text)).toBeUndefined(),
  );
});
