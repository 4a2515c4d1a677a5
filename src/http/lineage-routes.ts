import { z } from "@hono/zod-openapi";
import { resolveCommit, versionInCommit } from "../catalog/revision.ts";
import { treeSide } from "../catalog/side.ts";
import { mentionedIn } from "../catalog/mentioned.ts";
import { testsOfSide, testWords } from "../consumers/stored-tests.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { AppError } from "../lib/errors.ts";
import { datasetAndColumn } from "../lineage/lineage-name.ts";
import { lineageOf, type LineageEdge } from "../lineage/lineage-reads.ts";
import { allColumns } from "../usage/exposure.ts";
import { columnReaders } from "../usage/usage-reads.ts";
import { lineageAnswer } from "./lineage-answers.ts";
import type { Router } from "./router.ts";
import type { Services } from "./services.ts";

const recent = 30 * 86_400_000;

/** Lineage: what a dataset or a column is built from, what is built from it, and who reads that. */
export function addLineageRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/lineage",
      tag: "lineage",
      summary: "What a dataset or column is built from, what is built from it, and who reads it",
      needs: "viewer",
      query: z.object({
        of: z.string().min(1).openapi({ description: "A dataset, or a dataset and a column: `geo.airports.city`." }),
        direction: z.enum(["up", "down"]).optional().openapi({ description: "Both unless said." }),
        at: z.string().optional().openapi({ description: "A branch, tag, commit or change instead of main." }),
      }),
      answer: "Edges, the nearest first, and readers of the last 30 days.",
      data: lineageAnswer,
    },
    async (call) => {
      const { services, query } = call;
      const where = query.at ?? "main";
      const { tree } = await resolveCommit(services.db, where);
      const { dataset, column } = await datasetAndColumn(services.db, query.of);
      const version = await versionInCommit(services.db, { tree }, dataset, where);
      const contract = await getContract(services.db, version.contractHash);
      const known = column === undefined ? undefined : columnNamed(dataset, contract.schema[0]?.properties ?? [], column);
      const question = { tree, dataset, column: known };
      const up = query.direction === "down" ? [] : await lineageOf(services.db, question, "up");
      const down = query.direction === "up" ? [] : await lineageOf(services.db, question, "down");
      const readers = query.direction === "up" ? [] : await readersOf(services, { dataset, column: known }, down);
      const tests = query.direction === "up" ? [] : await testsOf(services, tree, [dataset, ...down.map((edge) => edge.to)]);
      return {
        dataset: dataset.name,
        version: version.number,
        column: known ?? null,
        sql: derivedSqlOf(contract) ?? null,
        up: up.map(edgeShape),
        down: down.map(edgeShape),
        readers,
        tests,
      };
    },
  );
}

function columnNamed(dataset: Dataset, columns: readonly { name: string }[], text: string): string {
  const found = columns.find(({ name }) => name.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found.name;
  throw new AppError("column.not_found", `${dataset.name} has no column ${text}.`, {
    expected: columns.map(({ name }) => name).join(", "),
    found: text,
    hint: `tidegate lineage ${dataset.name}`,
  });
}

function edgeShape({ from, to, distance, columns }: LineageEdge) {
  return { from: from.name, to: to.name, distance, columns };
}

/** Consumers that lately read what the answer names: the column itself, or what comes from it. */
async function readersOf(
  services: Services,
  of: { dataset: Dataset; column: string | undefined },
  down: readonly LineageEdge[],
): Promise<{ consumer: string; dataset: string; columns: string[]; lastAt: Date }[]> {
  const names = new Map([[of.dataset.id, of.dataset.name], ...down.map((edge) => [edge.to.id, edge.to.name] as const)]);
  const wanted = new Map<string, Set<string> | "all">([[of.dataset.id, of.column === undefined ? "all" : new Set([of.column])]]);
  for (const { to, columns } of down) {
    const known = wanted.get(to.id);
    if (columns === "all" || known === "all") wanted.set(to.id, "all");
    else wanted.set(to.id, new Set([...(known ?? []), ...columns.map((edge) => edge.to)]));
  }
  await services.ledger.flush();
  const since = new Date(services.clock.now().getTime() - recent);
  const rows = await columnReaders(services.db, since, [...names.keys()]);
  return rows.flatMap(({ datasetId, consumer, columns, lastAt }) => {
    const of = wanted.get(datasetId);
    const read = of === "all" || of === undefined ? columns : columns.filter((name) => name === allColumns || of.has(name));
    return read.length === 0 ? [] : [{ consumer, dataset: names.get(datasetId) ?? datasetId, columns: read, lastAt }];
  });
}

/** Stored tests of consumers that name one of these datasets. */
async function testsOf(services: Services, tree: string, datasets: readonly Dataset[]): Promise<{ consumer: string; test: string }[]> {
  const tests = await testsOfSide(treeSide(services.db, "lineage", tree));
  return tests
    .filter(({ test }) => mentionedIn(testWords(test), datasets).length > 0)
    .map(({ consumer, test }) => ({ consumer, test: test.name }));
}
