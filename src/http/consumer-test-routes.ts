import { z } from "@hono/zod-openapi";
import { sidesOfChange } from "../changes/change-sides.ts";
import { schemaImpact } from "../consumers/impact-service.ts";
import { addTests, listTests, removeTest, runTests } from "../changes/consumer-tests-service.ts";
import { getChange } from "../changes/change-store.ts";
import { getConsumer } from "../access/consumer-service.ts";
import { lastRuns } from "../consumers/test-run-store.ts";
import type { ConsumerTest, TestResult } from "../consumers/consumer-test.ts";
import { changeAnswer } from "./answers.ts";
import { testImpacts, testLines, testsAdded, testsRun } from "./consumer-test-answers.ts";
import type { Router } from "./router.ts";
import { changeShape } from "./shapes.ts";

const share = z.number().min(0);
const queryBody = z.strictObject({
  sql: z.string(),
  key: z.array(z.string()).optional(),
  tolerance: z
    .union([share, z.strictObject({ relative: share.optional(), absolute: share.optional(), rows: share.optional() })])
    .optional(),
  timeout: z.string().optional().openapi({ example: "30s" }),
});
const commandBody = z.strictObject({
  command: z.union([z.string(), z.array(z.string())]).openapi({ description: "Runs only where the local configuration allows commands." }),
  reads: z.array(z.string()),
  tolerance: queryBody.shape.tolerance,
  timeout: z.string().optional(),
});
const names = z.array(z.string());
const modelBody = z.strictObject({
  file: z.string().openapi({ example: "fraud.onnx" }),
  sha256: z.string().openapi({ description: "What POST /v1/models gave for the file." }),
  sql: z.string().openapi({ description: "One SELECT that gives the rows to predict on." }),
  key: names.openapi({ description: "Columns that identify a row." }),
  features: z
    .union([names, z.record(z.string(), z.union([z.string(), names]))])
    .optional()
    .openapi({ description: "Columns in the order of the only input, or by the name of each input." }),
  segment: z.string().optional(),
  output: z.string().optional(),
  class: z.number().int().min(0).optional(),
  threshold: z.number().optional().openapi({ description: "A score at or above it is a decision; rows whose decision changes are flips." }),
  decision: z.string().optional().openapi({ example: "blocked" }),
  tolerance: queryBody.shape.tolerance,
  timeout: z.string().optional(),
});
const testBody = z
  .strictObject({ name: z.string(), query: queryBody.optional(), run: commandBody.optional(), model: modelBody.optional() })
  .openapi("ConsumerTest");

const named = z.object({ name: z.string() });

/** Tests of consumers: what they do with the data, kept beside it and run on both sides of a change. */
export function addConsumerTestRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/consumer-tests",
      tag: "consumers",
      summary: "List the tests of all consumers, or of one, with what they said last",
      needs: "viewer",
      query: z.object({ consumer: z.string().optional() }),
      answer: "Tests by consumer and name.",
      data: testLines,
    },
    async (call) => {
      const { consumer } = call.query;
      if (consumer !== undefined) await getConsumer(call.services, consumer);
      const last = await lastRuns(call.services.db, consumer);
      const tests = await listTests(call.services.db, { consumer });
      return tests.map((item) => {
        const found = last.find((run) => run.consumer === item.consumer && run.test === item.test.name);
        const said = found === undefined ? null : { outcome: found.outcome, at: found.at };
        return { consumer: item.consumer, test: item.test.name, kind: item.test.kind, text: textOf(item.test), last: said };
      });
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/consumers/{name}/tests",
      tag: "consumers",
      summary: "Add tests to a consumer, as a change that is merged at once unless policy wants a person first",
      needs: "editor",
      params: named,
      body: z.strictObject({ tests: z.array(testBody).min(1).max(5000), replace: z.boolean().optional() }),
      answer: "The change, and which tests are new.",
      data: testsAdded,
    },
    async (call) => {
      const { tests: items, replace } = call.body;
      const { change, waits, added, unchanged } = await addTests(call.services, {
        consumer: call.params.name,
        items,
        replace,
        actor: call.actor,
        signal: call.signal,
      });
      return { change: change === undefined ? null : changeShape(change), added, unchanged, waits: waits ?? null };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/consumers/{name}/tests/remove",
      tag: "consumers",
      summary: "Open the change that takes a test away from a consumer",
      needs: "editor",
      params: named,
      body: z.strictObject({ test: z.string() }),
      answer: "The change, which waits.",
      data: changeAnswer,
    },
    async (call) => changeShape(await removeTest(call.services, { consumer: call.params.name, test: call.body.test, actor: call.actor })),
  );
  router.add(
    {
      method: "post",
      path: "/v1/consumer-tests/run",
      tag: "consumers",
      summary: "Run tests: on a change, from an older version to main, or on main alone",
      needs: "editor",
      reads: true,
      body: z.strictObject({
        consumer: z.string().optional(),
        tests: z.array(z.string()).optional(),
        change: z.string().optional(),
        from: z.string().optional().openapi({ example: "airports@3" }),
      }),
      answer: "What each test shows.",
      data: testsRun,
    },
    async (call): Promise<{ change: string | null; tests: TestResult[] }> => {
      const { change, ...request } = call.body;
      const changeId = change === undefined ? undefined : (await getChange(call.services.db, change)).id;
      return { change: changeId ?? null, tests: await runTests(call.services, { ...request, changeId, signal: call.signal }) };
    },
  );
}

/** What a change does to consumers: their tests on it, and what its columns do to stored queries. */
export function addImpactRoute(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/tests",
      tag: "changes",
      summary: "Test what consumers do with what a change proposes",
      needs: "viewer",
      params: z.object({ id: z.string() }),
      answer: "What each test shows; asked once for the same content.",
      data: testsRun.shape.tests,
    },
    async ({ services, params, signal }): Promise<TestResult[]> =>
      runTests(services, { changeId: (await getChange(services.db, params.id)).id, signal }),
  );
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/impact",
      tag: "changes",
      summary: "Which stored queries of consumers the change of columns breaks, without reading data",
      needs: "viewer",
      params: z.object({ id: z.string() }),
      answer: "Each stored query that reads a dataset whose columns change.",
      data: testImpacts,
    },
    async (call) => {
      const change = await getChange(call.services.db, call.params.id);
      return schemaImpact(call.services, await sidesOfChange(call.services.db, change));
    },
  );
}

function textOf(test: ConsumerTest): string {
  if (test.kind === "command") return test.command.join(" ");
  return test.kind === "model" ? `${test.file} on ${test.sql}` : test.sql;
}
