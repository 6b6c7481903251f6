import { readFirstTrueCondition, type Condition } from './conditions.js';
import {
  readCount,
  readObject,
  readObjects,
  readStringMap,
  readStrings,
  readText,
  type JsonObject,
} from './json-reader.js';
import { readLabelSelector, type LabelSelector } from './label-selector.js';

/** `status.loadBalancer.ingress`: the addresses, and the first port that could not be opened. */
export interface LoadBalancerState {
  /** IPs and host names; at most 4. */
  readonly addresses: readonly string[];
  readonly portError: string | null;
}

export interface ServiceState extends LoadBalancerState {
  readonly type: string;
  readonly clusterIp: string | null;
  readonly headless: boolean;
  readonly externalName: string | null;
  readonly externalIps: readonly string[];
  readonly publishNotReady: boolean;
  /** null: the endpoints are managed by others. */
  readonly selector: LabelSelector | null;
  /** `80/TCP`; at most 8. */
  readonly ports: readonly string[];
  readonly portsError: Condition | null;
}

export interface IngressState extends LoadBalancerState {
  readonly className: string | null;
  /** At most 4. */
  readonly hosts: readonly string[];
}

export interface NetworkPolicyState {
  readonly podSelector: LabelSelector;
}

export function slimService(raw: JsonObject): ServiceState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  const labels = readStringMap(spec.selector);
  const clusterIp = readText(spec.clusterIP);
  return {
    ...slimLoadBalancer(status),
    type: readText(spec.type) ?? 'ClusterIP',
    clusterIp,
    headless: clusterIp === 'None',
    externalName: readText(spec.externalName),
    externalIps: readStrings(spec.externalIPs).slice(0, 4),
    publishNotReady: spec.publishNotReadyAddresses === true,
    selector: labels === null ? null : { labels, expressions: [] },
    ports: readObjects(spec.ports).slice(0, 8).map(portText),
    portsError: readFirstTrueCondition(status, ['LoadBalancerPortsError']),
  };
}

export function slimIngress(raw: JsonObject): IngressState {
  const spec = readObject(raw.spec);
  const hosts = readObjects(spec.rules).map((rule) => readText(rule.host));
  return {
    ...slimLoadBalancer(readObject(raw.status)),
    className: readText(spec.ingressClassName),
    hosts: hosts.filter((host) => host !== null).slice(0, 4),
  };
}

export function slimNetworkPolicy(raw: JsonObject): NetworkPolicyState {
  return { podSelector: readLabelSelector(readObject(raw.spec).podSelector) };
}

function slimLoadBalancer(status: JsonObject): LoadBalancerState {
  const points = readObjects(readObject(status.loadBalancer).ingress);
  const addresses = points.map((point) => readText(point.ip) ?? readText(point.hostname));
  const failed = points.flatMap((point) => readObjects(point.ports)).find((port) => readText(port.error) !== null);
  return {
    addresses: addresses.filter((address) => address !== null).slice(0, 4),
    portError: failed === undefined ? null : `${portText(failed)}: ${readText(failed.error, 160) ?? ''}`,
  };
}

function portText(port: JsonObject): string {
  return `${readCount(port.port) ?? '?'}/${readText(port.protocol, 8) ?? 'TCP'}`;
}
