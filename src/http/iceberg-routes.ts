import type { OpenAPIHono } from "@hono/zod-openapi";
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { versionText } from "../catalog/version.ts";
import type { Principal } from "../access/principal.ts";
import { resolveCommit } from "../catalog/revision.ts";
import { watchedRead } from "../reading/failed-read.ts";
import { findTable, loadTable, recordScan } from "../reading/iceberg-service.ts";
import { hasNamespace, namespacesBelow, pageOf, tablesIn } from "../reading/namespaces.ts";
import { listDatasets } from "../reading/read-service.ts";
import type { ReaderIdentity } from "../reading/reader.ts";
import { parseReport } from "../reading/scan-report.ts";
import { ofPrefix, parseWarehouse, placeOf, prefixOf } from "../reading/warehouse.ts";
import { AppError } from "../lib/errors.ts";
import { parseJson, toJson, type Json } from "../lib/json.ts";
import { answerJson, toldOf } from "./errors.ts";
import { icebergError } from "./iceberg-errors.ts";
import { identify, readerOf, type Entrance } from "./identify.ts";
import type { Services } from "./services.ts";

/*
 * Iceberg's REST protocol, reading: https://iceberg.apache.org/rest-catalog-spec. What is here is what `endpoints` says; a warehouse is
 * looked at anew on each request, so that clients follow a rollout and its rollback with no change on their side.
 */

const at = "/v1/:prefix";
const namespace = `${at}/namespaces/:namespace`;
const table = `${namespace}/tables/:table`;

const endpoints = [
  "GET /v1/{prefix}/namespaces",
  "GET /v1/{prefix}/namespaces/{namespace}",
  "HEAD /v1/{prefix}/namespaces/{namespace}",
  "GET /v1/{prefix}/namespaces/{namespace}/tables",
  "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
];

const reportLimit = bodyLimit({
  maxSize: 2 ** 20,
  onError: () => {
    throw new AppError("request.too_large", "The report is too large.", {
      expected: `at most ${2 ** 20} bytes`,
      found: "more",
      hint: "docs/iceberg.md",
    });
  },
});

/** Adds the door for clients of Iceberg's REST protocol. Its answers and errors have that protocol's form, not ours. */
export function addIcebergRoutes(app: OpenAPIHono, services: Services, entrance: Entrance): void {
  const door = new Hono<{ Variables: { principal: Principal } }>();
  type At = Context<{ Variables: { principal: Principal } }>;
  const readerAt = async (c: At): Promise<{ reader: ReaderIdentity; warehouse: string; isOwn: boolean }> => {
    const warehouse = ofPrefix(c.req.param("prefix") ?? "") ?? "";
    const principal = c.get("principal");
    return { reader: await readerIn({ services, principal }, warehouse), warehouse, isOwn: principal.kind === "consumer" };
  };
  const namesAt = async (c: At): Promise<{ names: string[]; warehouse: string }> => {
    const { reader, warehouse } = await readerAt(c);
    return { names: (await listDatasets(services, reader)).map(({ dataset }) => dataset.name), warehouse };
  };
  const called = (c: At): string => [...levelsOf(c.req.param("namespace") ?? ""), c.req.param("table") ?? ""].join(".");

  door.onError((error, c) => {
    const { status, text } = icebergError(toldOf(error, entrance, () => services.ids.next("err")));
    return answerJson(c, status, text);
  });
  door.use(async (c, next) => {
    c.set("principal", await identify(services, entrance, c));
    await next();
  });

  door.get("/v1/config", async (c) => {
    const warehouse = await warehouseOf({ services, principal: c.get("principal") }, c.req.query("warehouse"));
    return answerJson(c, 200, toJson({ defaults: {}, overrides: { prefix: prefixOf(warehouse) }, endpoints }));
  });

  door.get(`${at}/namespaces`, async (c) => {
    const parent = levelsOf(c.req.query("parent") ?? "");
    const { names } = await namesAt(c);
    if (parent.length > 0 && !hasNamespace(names, parent)) throw noNamespace(parent);
    const { items, next } = pageAsked(c, namespacesBelow(names, parent), (levels) => levels.join("."));
    return answerJson(c, 200, toJson({ namespaces: items, "next-page-token": next }));
  });

  door.get(namespace, async (c) => {
    const levels = levelsOf(c.req.param("namespace"));
    const { names, warehouse } = await namesAt(c);
    if (!hasNamespace(names, levels)) throw noNamespace(levels);
    if (c.req.method === "HEAD") return c.body(null, 204);
    const location = services.store.address(placeOf(warehouse, levels.join(".")));
    return answerJson(c, 200, toJson({ namespace: levels, properties: { location } }));
  });

  door.get(`${namespace}/tables`, async (c) => {
    const levels = levelsOf(c.req.param("namespace"));
    const { names } = await namesAt(c);
    if (!hasNamespace(names, levels)) throw noNamespace(levels);
    const { items, next } = pageAsked(c, tablesIn(names, levels), (name) => name);
    const identifiers = items.map((name) => ({ namespace: levels, name }));
    return answerJson(c, 200, toJson({ identifiers, "next-page-token": next }));
  });

  door.get(table, async (c) => {
    const { reader, warehouse, isOwn } = await readerAt(c);
    if (c.req.method === "HEAD") {
      await findTable(services, { reader, name: called(c) });
      return c.body(null, 204);
    }
    const name = called(c);
    const load = () =>
      loadTable(services, {
        reader,
        warehouse,
        name,
        refsOnly: c.req.query("snapshots") === "refs",
        // Only the library of Java does it, and Spark, Trino and Flink stand on it.
        reports: (c.req.header("x-client-version") ?? "").startsWith("Apache Iceberg"),
        known: c.req.header("if-none-match") ?? "",
      });
    // A table that is gone for a moved consumer alone is a failure that the judge must know.
    const { answer, tag, body } = isOwn ? await watchedRead(services, reader, { dataset: name }, load) : await load();
    c.header("etag", tag);
    c.header("tidegate-view", answer.view);
    c.header("tidegate-version", `${answer.dataset.name}${versionText(answer.version)}`);
    c.header("tidegate-reason", answer.reason);
    return body === undefined ? c.body(null, 304) : answerJson(c, 200, body);
  });

  door.post(`${table}/metrics`, reportLimit, async (c) => {
    const { reader } = await readerAt(c);
    const report = parseReport(reportBody(await c.req.text()));
    if (report !== undefined) await recordScan(services, { reader, name: called(c) }, report);
    return c.body(null, 204);
  });

  door.all("*", (c) => {
    if (["GET", "HEAD"].includes(c.req.method)) {
      throw new AppError("request.not_found", `There is no ${c.req.method} ${c.req.path}.`, { found: c.req.path, hint: "docs/iceberg.md" });
    }
    throw new AppError("catalogue.read_only", "Through this door tables are only read.", {
      expected: "a read",
      found: `${c.req.method} ${c.req.path}`,
      hint: "tidegate propose <dataset> <file>",
    });
  });
  app.route("/iceberg", door);
}

interface Asking {
  services: Services;
  principal: Principal;
}

/** The name of a warehouse as it stands in addresses, if there is one that the caller may see. None is the caller's own view. */
async function warehouseOf(asking: Asking, name: string | undefined): Promise<string> {
  const { services, principal } = asking;
  const own = principal.kind === "consumer" ? `consumer/${principal.name}` : `live/${services.environment}`;
  const asked = name === undefined || name === "" ? own : name;
  const { at: state } = await readerIn(asking, asked);
  if (state === undefined) return asked;
  // Says it when there is no such state; a commit id may be cut short, and stays the one that it names now.
  const { id } = await resolveCommit(services.db, state);
  return asked.startsWith("commit/") ? `commit/${id}` : asked;
}

/** Who reads in a warehouse, and what: a consumer its own view only. */
async function readerIn(asking: Asking, name: string): Promise<ReaderIdentity> {
  const warehouse = parseWarehouse(name);
  if (warehouse === undefined) {
    throw new AppError("warehouse.not_found", `There is no warehouse ${JSON.stringify(name)}.`, {
      expected: "consumer/<name>, main, live/<environment>, change/<id>, tag/<name> or commit/<id>",
      found: name,
      hint: "docs/iceberg.md",
    });
  }
  const { principal } = asking;
  if (principal.kind !== "consumer") {
    return readerOf(asking, warehouse.of === "state" ? { at: warehouse.at } : { run: warehouse.run, consumer: warehouse.consumer });
  }
  if (warehouse.of === "consumer" && warehouse.consumer === principal.name) return readerOf(asking, { run: warehouse.run });
  throw new AppError("auth.denied", `${principal.name} reads its own view only.`, {
    expected: `the warehouse consumer/${principal.name}, or none`,
    found: name,
    hint: "leave the warehouse out of the client's settings",
  });
}

/** The levels of a namespace in an address, which are joined by the unit separator. */
function levelsOf(text: string): string[] {
  return text === "" ? [] : text.split("\u001f");
}

/** A client that can take parts of a list says so by a token, empty at first; any other gets all of it. */
function pageAsked<T>(c: Context, items: readonly T[], keyOf: (item: T) => string): { items: readonly T[]; next: string | null } {
  const token = c.req.query("pageToken");
  if (token === undefined) return { items, next: null };
  const size = Number(c.req.query("pageSize") ?? 1000);
  if (!Number.isInteger(size) || size < 1) {
    throw new AppError("request.invalid", "The request is not understood: query.pageSize.", {
      expected: "a whole number of 1 or more",
      found: c.req.query("pageSize") ?? "",
      hint: "docs/iceberg.md",
    });
  }
  const page = pageOf(items, keyOf, { after: ofPrefix(token) ?? "", size });
  return { items: page.items, next: page.next === undefined ? null : prefixOf(page.next) };
}

function reportBody(text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    throw new AppError("request.invalid", "The report is not understood.", {
      expected: "a body of JSON",
      found: (error as Error).message,
      hint: "docs/iceberg.md",
      cause: error,
    });
  }
}

function noNamespace(levels: readonly string[]): AppError {
  const name = levels.join(".");
  return new AppError("namespace.not_found", `There is no namespace ${name}.`, { found: name, hint: "tidegate dataset list" });
}
