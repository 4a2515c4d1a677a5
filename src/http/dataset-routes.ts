import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { z } from "@hono/zod-openapi";
import { parseVersionName } from "../catalog/dataset.ts";
import { asOf, versionText } from "../catalog/version.ts";
import { ownersOf } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import { resolveCommit } from "../catalog/revision.ts";
import { builtFromNames, builtIntoNames } from "../lineage/lineage-reads.ts";
import { watchedQuery, watchedRead, type AskedOf } from "../reading/failed-read.ts";
import { runQuery } from "../reading/query-service.ts";
import { answerFor, listDatasets, lookUp, readParquet, readRows, viewFor } from "../reading/read-service.ts";
import type { Answer, ReaderIdentity } from "../reading/reader.ts";
import { contractAnswer, datasetAnswer, datasetLines, pathAnswer, rowAnswer, viewAnswer } from "./answers.ts";
import { readerOf } from "./identify.ts";
import type { Call, Router } from "./router.ts";
import { breakOff, formatOfAccept, rowsResponse, rowTypes } from "./rows-response.ts";
import { schemaShape, versionShape } from "./shapes.ts";

const reading = { run: z.string().max(200).optional(), at: z.string().optional(), as: z.string().optional() };
const parquetType = "application/vnd.apache.parquet";
const named = z.object({ name: z.string() });
const rowsQuery = z.object({
  ...reading,
  columns: z.string().optional().openapi({ description: "Names, joined by commas." }),
  limit: z.coerce.number().int().min(0).optional(),
  offset: z.coerce.number().int().min(0).optional(),
});

type Asked = { run?: string | undefined; at?: string | undefined; as?: string | undefined };

function reader(call: Pick<Call<unknown, unknown, unknown>, "services" | "principal">, asked: Asked, name = "") {
  return readerOf(call, {
    run: asked.run,
    at: asked.at,
    consumer: asked.as,
    versioned: name !== "" && parseVersionName(name).number !== undefined,
  });
}

/** A consumer's own read is watched; a person who looks at its view fails for nobody but itself. */
function watched<T>(
  { principal, services }: Pick<Call<unknown, unknown, unknown>, "services" | "principal">,
  identity: ReaderIdentity,
  about: AskedOf,
  work: () => Promise<T>,
): Promise<T> {
  return principal.kind === "consumer" ? watchedRead(services, identity, about, work) : work();
}

/** What every door tells of its answer. */
function headersOf(answer: Pick<Answer, "view" | "reason"> & { versions: string }): Record<string, string> {
  return { "tidegate-view": answer.view, "tidegate-version": answer.versions, "tidegate-reason": answer.reason };
}

const nameOf = ({ dataset, version }: Pick<Answer, "dataset" | "version">): string => `${dataset.name}${versionText(version)}`;

function namesIn(text: string | undefined): string[] | undefined {
  return text === undefined || text === "" ? undefined : text.split(",").map((name) => name.trim());
}

/** Reading: the reader's view, or what a person names. */
export function addDatasetRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/datasets",
      tag: "reading",
      summary: "List the datasets of one's view",
      needs: "reader",
      query: z.object(reading),
      answer: "Datasets with their version.",
      data: datasetLines,
    },
    async (call) => {
      const listed = await listDatasets(call.services, await reader(call, call.query));
      return listed.map(({ dataset, version }) => ({ name: dataset.name, id: dataset.id, version: versionShape(version) }));
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}",
      tag: "reading",
      summary: "Show a dataset: schema, owners, version",
      needs: "reader",
      params: named,
      query: z.object(reading),
      answer: "The dataset.",
      data: datasetAnswer,
    },
    async (call) => {
      const answer = await answerFor(call.services, await reader(call, call.query, call.params.name), call.params.name);
      const { state } = await call.services.tables.open(answer.version);
      const contract = await getContract(call.services.db, answer.version.contractHash);
      const { dataset, version, view, reason } = answer;
      const sql = derivedSqlOf(contract);
      const { tree } = await resolveCommit(call.services.db, call.query.at ?? `live/${call.services.environment}`);
      return {
        name: dataset.name,
        id: dataset.id,
        version: versionShape(version),
        owners: ownersOf(contract),
        ...schemaShape(state.schema),
        derived: sql === undefined ? null : { sql, from: await builtFromNames(call.services.db, version) },
        into: await builtIntoNames(call.services.db, tree, dataset),
        view,
        reason,
      };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/contract",
      tag: "reading",
      summary: "The dataset's ODCS contract",
      needs: "reader",
      params: named,
      query: z.object(reading),
      answer: "The document.",
      data: contractAnswer,
    },
    async (call) => {
      const answer = await answerFor(call.services, await reader(call, call.query, call.params.name), call.params.name);
      return getContract(call.services.db, answer.version.contractHash);
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/rows",
      tag: "reading",
      summary: "Read rows as JSON, NDJSON or CSV",
      needs: "reader",
      params: named,
      query: rowsQuery.extend({
        format: z
          .enum(["json", "ndjson", "csv"])
          .optional()
          .openapi({ description: "What Accept asks for, unless it is said; else json." }),
      }),
      answer: "A stream of rows, not wrapped in an envelope.",
      data: rowTypes,
    },
    async (call) => {
      const { columns, limit, offset } = call.query;
      const format = call.query.format ?? formatOfAccept(call.context.req.header("accept"));
      const identity = await reader(call, call.query, call.params.name);
      const request = { columns: namesIn(columns), limit, offset };
      const stream = await watched(call, identity, { dataset: call.params.name, columns: request.columns }, () =>
        readRows(call.services, identity, call.params.name, request, call.signal),
      );
      const { answer } = stream;
      return rowsResponse(call, stream.rows, {
        format,
        columns: stream.columns.map((field) => field.name),
        headers: headersOf({ ...answer, versions: nameOf(answer) }),
      });
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/parquet",
      tag: "reading",
      summary: "Read rows as one Parquet file",
      needs: "reader",
      params: named,
      query: rowsQuery,
      answer: "The file.",
      data: [parquetType],
    },
    async (call) => {
      const { services } = call;
      const { columns, limit, offset } = call.query;
      const identity = await reader(call, call.query, call.params.name);
      const folder = join(services.config.dataDir, "tmp", services.ids.next("req"));
      await mkdir(folder, { recursive: true });
      const drop = () => rm(folder, { recursive: true, force: true });
      try {
        const path = join(folder, "rows.parquet");
        const request = { path, columns: namesIn(columns), limit, offset };
        const answer = await watched(call, identity, { dataset: call.params.name, columns: request.columns }, () =>
          readParquet(services, identity, call.params.name, request, call.signal),
        );
        const file = createReadStream(path);
        file.once("close", () => void drop());
        file.once("error", (error) => breakOff(call, error));
        const headers = {
          "content-type": parquetType,
          "content-length": String(answer.bytes),
          ...headersOf({ ...answer, versions: nameOf(answer) }),
        };
        return new Response(Readable.toWeb(file) as ReadableStream, { headers });
      } catch (error) {
        await drop();
        throw error;
      }
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/rows/{key}",
      tag: "reading",
      summary: "Look one row up by its key; parts of a composite key joined by commas",
      needs: "reader",
      params: named.extend({ key: z.string() }),
      query: z.object(reading),
      answer: "The row.",
      data: rowAnswer,
    },
    async (call) => {
      const identity = await reader(call, call.query, call.params.name);
      const { answer, row } = await watched(call, identity, { dataset: call.params.name, key: call.params.key }, () =>
        lookUp(call.services, identity, call.params.name, call.params.key),
      );
      for (const [name, value] of Object.entries(headersOf({ ...answer, versions: nameOf(answer) }))) call.context.header(name, value);
      return row;
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/path",
      tag: "reading",
      summary: "Where a version's Iceberg metadata file is",
      needs: "viewer",
      params: named,
      query: z.object(reading),
      answer: "The path, for any Iceberg reader.",
      data: pathAnswer,
    },
    async (call) => {
      const answer = await answerFor(call.services, await reader(call, call.query, call.params.name), call.params.name);
      const { dataset, version } = answer;
      return {
        dataset: dataset.name,
        version: version.number,
        ...asOf(version.asNumber),
        path: call.services.store.uri(version.metadataKey),
      };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/view",
      tag: "reading",
      summary: "What a reader has now, and why; reads nothing, so the ledger has nothing of it",
      needs: "reader",
      query: z.object({
        run: reading.run,
        as: reading.as,
        datasets: z.string().max(10_000).optional().openapi({ description: "Names, joined by commas." }),
      }),
      answer: "The view.",
      data: viewAnswer,
    },
    async (call) => {
      const { resolved, answers } = await viewFor(call.services, await reader(call, call.query), namesIn(call.query.datasets) ?? []);
      return {
        view: resolved.view.id,
        reason: resolved.reason,
        leaseUntil: resolved.leaseUntil?.toISOString() ?? null,
        datasets: answers.map(({ dataset, version }) => ({ dataset: dataset.name, version: version.number, ...asOf(version.asNumber) })),
      };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/query",
      reads: true,
      tag: "reading",
      summary: "Run one SELECT over one's view",
      needs: "reader",
      body: z.object({
        sql: z.string().max(100_000),
        run: z.string().optional(),
        at: z.string().optional(),
        as: z.string().optional(),
        format: z.enum(["json", "ndjson", "csv"]).default("json"),
      }),
      answer: "A stream of rows, not wrapped in an envelope.",
      data: rowTypes,
    },
    async (call) => {
      const run = call.principal.kind === "consumer" ? watchedQuery : runQuery;
      const answer = await run(call.services, await reader(call, call.body), call.body.sql, call.signal);
      const versions = answer.versions.map(nameOf).join(" ");
      const headers = headersOf({ view: answer.view, reason: answer.reason, versions });
      return rowsResponse(call, answer.rows, {
        format: call.body.format,
        columns: answer.columns.map((item) => item.name),
        headers,
      });
    },
  );
}
