import { BlockList, isIP } from "node:net";
import { bareHost, type Outbound } from "../edges/outbound.ts";
import { AppError } from "../lib/errors.ts";

/** What the person at this machine allows webhooks; see config.yaml. */
export interface WebhookSettings {
  /** Plain HTTP may be used. */
  http: boolean;
  /** Hosts at private addresses that may be told: `alerts.internal`, or `alerts.internal:8443` for one port alone. */
  privateHosts: readonly string[];
}

export const publicOnly: WebhookSettings = { http: false, privateHosts: [] };

/*
 * Where no message goes unless its host is named: this machine, its networks, and what clouds put at fixed addresses for their own machines
 * (169.254.169.254, 100.100.100.200, 168.63.129.16). Of IPv6 only what is routed on the Internet is left, less what carries an IPv4 address.
 */
const refused = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  refused.addSubnet(net, bits, "ipv4");
for (const [net, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  refused.addSubnet(net, bits, "ipv6");
const routed = new BlockList();
routed.addSubnet("2000::", 3, "ipv6");

/** Whether an address is one of the Internet. */
export function isPublicAddress(address: string): boolean {
  const [bare = ""] = address.split("%");
  if (isIP(bare) === 4) return !refused.check(bare, "ipv4");
  return isIP(bare) === 6 && routed.check(bare, "ipv6") && !refused.check(bare, "ipv6");
}

/** A webhook's URL, when it is one that may be told at all; `webhook.url` says what is wrong. */
export function webhookUrl(text: string, settings: WebhookSettings): URL {
  const wrong = (found: string, hint = "tidegate webhook add <name> https://…"): AppError =>
    new AppError("webhook.url", "A webhook cannot have this URL.", { expected: "https://host/path", found, hint });
  if (!URL.canParse(text)) throw wrong("no URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw wrong(`the scheme ${url.protocol.slice(0, -1)}`);
  if (url.protocol === "http:" && !settings.http)
    throw wrong("plain http", "webhooks: { http: true } in config.yaml of the data folder allows it");
  if (url.username !== "" || url.password !== "") throw wrong("a name or password in it");
  if (url.hash !== "") throw wrong("a part behind #");
  return url;
}

/**
 * The address to connect to for a URL, looked up now. One that is not of the Internet is refused unless its host is allowed by name, and a host
 * that has such an address beside others is refused as a whole.
 */
export async function checkedAddress(outbound: Outbound, url: URL, settings: WebhookSettings): Promise<string> {
  const host = bareHost(url);
  const addresses = isIP(host) === 0 ? await namedAddresses(outbound, host) : [host];
  const isAllowed = settings.privateHosts.some((name) => name === host || name === url.host);
  const inside = isAllowed ? undefined : addresses.find((address) => !isPublicAddress(address));
  if (inside !== undefined) {
    throw new AppError("webhook.address", `${host} is not a host of the Internet, and no message is sent to it.`, {
      expected: "a public address, or a host named in webhooks.privateHosts of config.yaml",
      found: inside,
      hint: `webhooks: { privateHosts: [${host}] } in config.yaml of the data folder allows it`,
    });
  }
  return addresses[0] as string;
}

async function namedAddresses(outbound: Outbound, host: string): Promise<string[]> {
  const found = await outbound.addressesOf(host).catch((error: unknown) => error as Error);
  if (Array.isArray(found) && found.length > 0) return found;
  throw new AppError("webhook.host", `The name service has no address of ${host}.`, {
    expected: "a host that can be found",
    found: host,
    hint: "tidegate webhook list",
    cause: Array.isArray(found) ? undefined : found,
  });
}
