import { lookup } from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";

/** A message on its way out. */
export interface OutboundPost {
  url: URL;
  /** Where to connect, whatever the name service says by then. */
  address: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  timeoutMs: number;
}

export interface OutboundAnswer {
  status: number;
  /** Seconds after which the receiver wants to be asked again, where it says so. */
  retryAfter: number | undefined;
}

/** What Tidegate sends by itself into the outside world. */
export interface Outbound {
  /** All addresses that the name service has for a host now; throws when there are none. */
  addressesOf(host: string): Promise<string[]>;
  /** Posts to one address of the URL's host. Follows no redirect and gives nothing of the answer's body; throws when there is no answer in time. */
  post(message: OutboundPost): Promise<OutboundAnswer>;
}

/** A URL's host without the brackets of an IPv6 address. */
export const bareHost = (url: URL): string => url.hostname.replaceAll(/^\[|\]$/g, "");

export const systemOutbound: Outbound = {
  addressesOf: async (host) => (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address),
  post: ({ url, address, headers, body, timeoutMs }) =>
    new Promise((resolve, reject) => {
      const host = bareHost(url);
      const bytes = Buffer.from(body);
      const send = url.protocol === "https:" ? requestHttps : requestHttp;
      const request = send(
        {
          method: "POST",
          host: address,
          port: url.port === "" ? undefined : Number(url.port),
          path: `${url.pathname}${url.search}`,
          // The certificate must be the host's, not the address's.
          ...(isIP(host) === 0 ? { servername: host } : {}),
          headers: { ...headers, host: url.host, "content-length": String(bytes.length) },
          agent: false,
          signal: AbortSignal.timeout(timeoutMs),
        },
        (response) => {
          const wait = Number(response.headers["retry-after"]);
          resolve({ status: response.statusCode ?? 0, retryAfter: Number.isInteger(wait) && wait > 0 ? wait : undefined });
          response.destroy();
        },
      );
      request.on("error", reject);
      request.end(bytes);
    }),
};
