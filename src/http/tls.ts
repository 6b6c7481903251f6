import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { SettingType } from '../config/setting-types.js';

/** A certificate, with those that lead to its authority behind it, as PEM. */
export function pemCertificate(): SettingType<string> {
  return {
    expected: 'a certificate in PEM, the chain behind it',
    parse(text) {
      new X509Certificate(text);
      return text;
    },
  };
}

/** A private key without passphrase, as PEM. */
export function pemPrivateKey(): SettingType<string> {
  return {
    expected: 'a private key in PEM without a passphrase',
    parse(text) {
      createPrivateKey(text);
      return text;
    },
  };
}

export interface TlsSettings {
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}

/** A certificate with its chain, and its key, both PEM. */
export interface TlsPair {
  readonly certificate: string;
  readonly key: string;
}

/** undefined if the service speaks no TLS. */
export function tlsPairOf({ tlsCert, tlsKey }: TlsSettings): TlsPair | undefined {
  return tlsCert === undefined || tlsKey === undefined ? undefined : { certificate: tlsCert, key: tlsKey };
}

/** What is wrong with the two taken together. */
export function tlsProblems({ tlsCert, tlsKey }: TlsSettings): string[] {
  if (tlsCert === undefined && tlsKey === undefined) return [];
  if (tlsCert === undefined || tlsKey === undefined) {
    const [set, missing] = tlsKey === undefined ? ['CERT', 'KEY'] : ['KEY', 'CERT'];
    return [`CROWSNEST_TLS_${set} is set, CROWSNEST_TLS_${missing} is not: TLS needs both`];
  }
  if (new X509Certificate(tlsCert).checkPrivateKey(createPrivateKey(tlsKey))) return [];
  return ['CROWSNEST_TLS_KEY is not the key of the certificate in CROWSNEST_TLS_CERT'];
}
