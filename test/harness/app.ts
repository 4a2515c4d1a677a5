import { doWhatIsDue } from "../../src/operations/due-work.ts";
import { z } from "@hono/zod-openapi";
import { ensureAdmin } from "../../src/access/person-service.ts";
import { readConfig } from "../../src/config.ts";
import { createRouter } from "../../src/http/app.ts";
import { systemOutbound } from "../../src/edges/outbound.ts";
import type { Entrance } from "../../src/http/identify.ts";
import type { Services } from "../../src/http/services.ts";
import { parseJson } from "../../src/lib/json.ts";
import { publicOnly } from "../../src/webhooks/address.ts";
import { deliverDue } from "../../src/webhooks/deliver-service.ts";
import { lakehouse, type Lakehouse } from "./lakehouse.ts";

/** What `data` holds in a test: any JSON. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Data = any;

export interface Asked {
  body?: unknown;
  token?: string;
  headers?: Record<string, string>;
}

export interface TestApp {
  lake: Lakehouse;
  services: Services;
  /** The answer as it is. */
  send(method: string, path: string, asked?: Asked): Promise<Response>;
  /** The data of a good answer, compared with what the route promises; anything else throws. */
  ask(method: string, path: string, asked?: Asked): Promise<Data>;
  /** The error of a refused request, with its status. */
  refused(method: string, path: string, asked?: Asked): Promise<Data>;
  /** A dataset imported from text. */
  importCsv(dataset: string, csv: string, key?: string[]): Promise<Data>;
  close(): Promise<void>;
}

/** The app over everything real. In process, so without a token the caller is the admin `root`, unless `entrance` says otherwise. */
export async function testApp(
  entrance: Partial<Entrance> = {},
  more: Partial<Services> = {},
  options: Parameters<typeof lakehouse>[0] = {},
): Promise<TestApp> {
  const lake = await lakehouse(options);
  const admin = await ensureAdmin(lake, "root");
  const services: Services = {
    ...lake,
    config: readConfig({}, lake.dir, { data: lake.dir }),
    localAdmin: admin.name,
    drainOutbox: () => doWhatIsDue(lake),
    outbound: systemOutbound,
    webhookSettings: publicOnly,
    deliverWebhooks: () => deliverDue(services),
    poolUsage: () => ({ total: 1, idle: 0, waiting: 0 }),
    ...more,
  };
  const router = createRouter(services, { local: true, ...entrance });
  const send = async (method: string, path: string, { body, token, headers = {} }: Asked = {}): Promise<Response> => {
    lake.clock.advance(1000);
    const json = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    return router.app.request(`http://in.process${path}`, {
      method,
      headers: {
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(json === undefined ? {} : { body: json }),
    });
  };
  const ask = async (method: string, path: string, asked?: Asked): Promise<Data> => {
    const response = await send(method, path, asked);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    const { data } = parseJson(text) as Data;
    const shape = router.shapes.find(
      (item) => item.method === method.toLowerCase() && pathPattern(item.path).test(path.split("?")[0] ?? ""),
    );
    if (!(shape?.data instanceof z.ZodType)) throw new Error(`${method} ${path} promises no data`);
    const promised = shape.data.safeParse(data);
    if (!promised.success) throw new Error(`${method} ${path} does not keep its promise: ${promised.error.message}\n${text}`);
    if (JSON.stringify(sorted(promised.data)) !== JSON.stringify(sorted(data))) {
      throw new Error(`${method} ${path} says more than it promises:\n${JSON.stringify(data)}\n${JSON.stringify(promised.data)}`);
    }
    return data;
  };
  return {
    lake,
    services,
    send,
    ask,
    refused: async (method, path, asked) => {
      const response = await send(method, path, asked);
      const answer = (await response.json()) as Data;
      if (answer.ok !== false) throw new Error(`${method} ${path} was not refused: ${JSON.stringify(answer)}`);
      return { status: response.status, ...answer.error };
    },
    importCsv: async (dataset, csv, key = []) => {
      const path = await lake.file(`${dataset}-${Math.random()}.csv`, csv);
      return ask("POST", "/v1/imports", { body: { dataset, key, source: { paths: [path] } } });
    },
    close: () => lake.close(),
  };
}

function pathPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}
