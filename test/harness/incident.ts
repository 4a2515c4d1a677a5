import { vi } from "vitest";
import { addConsumer, type NewConsumer } from "../../src/access/consumer-service.ts";
import { addPerson } from "../../src/access/person-service.ts";
import { createToken } from "../../src/access/token-service.ts";
import { applyFolder } from "../../src/apply/apply-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { verdictOf, type ChangeVerdict } from "../../src/changes/verdict-service.ts";
import type { TestResult } from "../../src/consumers/consumer-test.ts";
import { asAppError, type AppError } from "../../src/lib/errors.ts";
import { testApp, type Data, type TestApp } from "./app.ts";
import { importText, proposeText } from "./changes.ts";
import type { Lakehouse } from "./lakehouse.ts";
import { rowsOf } from "./reads.ts";

/** Each stored query runs in a process of its own, several times over: on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** A replayed incident: data in the sizes of the replay, its contracts, its consumers, its policy, on real parts. */
export interface Incident {
  lake: Lakehouse;
  /** The same over HTTP; without a token the caller is the admin. */
  app: TestApp;
  /** A dataset on main. */
  table(dataset: string, csv: string, key?: string[]): Promise<void>;
  /** Columns and quality items of a dataset's contract, as YAML; on main at once. Takes the place of an earlier one. */
  contract(dataset: string, properties: string, more?: string): Promise<void>;
  policy(text: string): Promise<void>;
  /** A consumer with stored queries. Takes the place of its earlier tests; without any, it has none. */
  consumer(
    name: string,
    about: Partial<NewConsumer>,
    queries: Readonly<Record<string, string | { sql: string; key: string[] }>>,
  ): Promise<void>;
  /** Proposes rows; gives the id of the change. */
  change: (dataset: string, kind: "append" | "upsert" | "delete" | "replace", csv: string, actor?: string) => Promise<string>;
  verdict(changeId: string): Promise<ChangeVerdict>;
  /** Why the merge of a change is refused; a merge that succeeds fails the test. */
  refusal(changeId: string): Promise<AppError>;
  merge(changeId: string): Promise<void>;
  rows(dataset: string, at?: string): Promise<number>;
  /** A token of a consumer's own. */
  token(consumer: string): Promise<string>;
  /** What a consumer reads of a dataset over HTTP, with its own token. */
  read(consumer: string, dataset: string, asked?: { columns?: string; limit?: number }): Promise<Served>;
  /** What a consumer says of its work on what it has read, over HTTP. */
  report(consumer: string, outcome: Record<string, unknown>): Promise<Data>;
  /** Merges whatever stands against it, by break-glass over HTTP, and releases it by a plan; gives the id of the release. */
  force(changeId: string, plan?: string): Promise<string>;
  /** What a release is shown as. */
  release(id: string): Promise<Data>;
  /** Time passes, and the server does what is due. */
  later(minutes: number): Promise<void>;
  close(): Promise<void>;
}

export interface Served {
  rows: Record<string, string>[];
  version: number;
  /** Why this version: `live`, `ring 1 of rel_…`. */
  reason: string;
}

/** Persons: `root` is the admin who sets things up, `eve` writes, `ben` and `ina` review. */
export async function incident(options: { rowsPerFile?: number; onnx?: string } = {}): Promise<Incident> {
  // Messages are written down, and none is sent.
  const outbound = {
    addressesOf: () => Promise.resolve(["93.184.216.34"]),
    post: () => Promise.resolve({ status: 200, retryAfter: undefined }),
  };
  const app = await testApp({}, { outbound }, { rowsPerFile: 20_000, ...options });
  const { lake } = app;
  const known = new Set<string>();
  const tokens = new Map<string, string>();
  const tokenOf = async (consumer: string): Promise<string> => {
    const token = tokens.get(consumer) ?? (await createToken(lake, "root", { consumer, label: "" })).token;
    tokens.set(consumer, token);
    return token;
  };
  let reports = 0;
  for (const [name, role] of [
    ["ben", "reviewer"],
    ["ina", "reviewer"],
    ["eve", "editor"],
  ] as const)
    await addPerson(lake, "root", { name, role });
  const apply = async (path: string, text: string): Promise<void> => {
    const { change } = await applyFolder(lake, { files: [{ path, text }], actor: "root", byPerson: true });
    if (change !== undefined) await lake.merge(change.id);
  };
  return {
    lake,
    app,
    table: async (dataset, csv, key = []) => {
      await importText(lake, dataset, csv, key);
    },
    contract: (dataset, properties, more = "") => apply("contract.odcs.yaml", contractText(dataset, properties, more)),
    policy: (text) => apply("policy.yaml", text),
    consumer: async (name, about, queries) => {
      if (!known.has(name)) await addConsumer(lake, "root", { name, kind: "dashboard", criticality: "normal", labels: {}, ...about });
      // A new one has no tests to take out.
      if (!known.has(name) && Object.keys(queries).length === 0) return void known.add(name);
      known.add(name);
      const tests = Object.entries(queries).map(([test, query]) => ({
        name: test,
        query: typeof query === "string" ? { sql: query } : query,
      }));
      await apply(`consumers/${name}.yaml`, JSON.stringify({ tests }));
    },
    change: (dataset, kind, csv, actor = "eve") => proposeText(lake, dataset, { kind, csv }, { actor }),
    verdict: (changeId) => verdictOf(lake, changeId),
    refusal: async (changeId) => {
      lake.clock.advance(1000);
      const found = await merge(lake, { changeId, actor: "root", byPerson: true }).then(() => undefined, asAppError);
      if (found === undefined) throw new Error(`${changeId} was merged`);
      return found;
    },
    merge: async (changeId) => {
      lake.clock.advance(1000);
      await merge(lake, { changeId, actor: "root", byPerson: true });
    },
    rows: async (dataset, at) => (await rowsOf(lake, dataset, { at })).length,
    token: tokenOf,
    read: async (consumer, dataset, asked = {}) => {
      const query = Object.entries({ format: "json", ...asked })
        .map(([key, value]) => `${key}=${value}`)
        .join("&");
      const answer = await app.send("GET", `/v1/datasets/${dataset}/rows?${query}`, { token: await tokenOf(consumer) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${consumer} cannot read ${dataset}: ${answer.status} ${text}`);
      const said = (name: string): string => answer.headers.get(name) ?? "";
      return { rows: JSON.parse(text), version: Number(said("tidegate-version").split("@").at(-1)), reason: said("tidegate-reason") };
    },
    report: async (consumer, outcome) => {
      const body = { id: `report-${(reports += 1)}`, ...outcome };
      return app.ask("POST", "/v1/outcomes", { token: await tokenOf(consumer), body });
    },
    force: async (changeId, plan) => {
      const post = (verb: string, body: object) => app.ask("POST", `/v1/changes/${changeId}/${verb}`, { body });
      if (plan !== undefined) await post("plan", { plan });
      await post("override", { reason: "it cannot wait" });
      return (await post("merge", {})).release.id;
    },
    release: (id) => app.ask("GET", `/v1/releases/${id}`),
    later: async (minutes) => {
      lake.clock.advance(minutes * 60_000);
      await lake.drain();
    },
    close: () => app.close(),
  };
}

function contractText(dataset: string, properties: string, more: string): string {
  return `apiVersion: v3.1.0
kind: DataContract
id: ${dataset}
version: 1.0.0
status: active
schema:
- name: ${dataset}
  properties:
${indented(properties, 2)}
${indented(more, 2)}
`;
}

const indented = (text: string, by: number): string =>
  text
    .trim()
    .split("\n")
    .map((line) => " ".repeat(by) + line)
    .join("\n");

/** Sentences of what stands against a change, by kind. */
export const against = ({ decision }: ChangeVerdict, kind?: string): string[] =>
  decision.items.filter((item) => item.state !== "met" && (kind === undefined || item.kind === kind)).map(({ text }) => text);

/** What a consumer's tests say. */
export const testsOf = ({ assessment }: ChangeVerdict, consumer: string): TestResult[] =>
  assessment.tests.filter((test) => test.consumer === consumer);

/** Rules of the contract that do not pass, by id. */
export const failing = ({ assessment }: ChangeVerdict): string[] =>
  [...assessment.datasets.flatMap(({ checks }) => checks.checks), ...assessment.neighbours.flatMap(({ checks }) => checks)]
    .filter(({ verdict }) => verdict !== "pass")
    .map(({ rule }) => rule.id);

/** CSV of rows. */
export const csvOf = (head: string, rows: readonly (readonly unknown[])[]): string =>
  `${head}\n${rows.map((row) => row.join(",")).join("\n")}\n`;

export { seeded } from "./seeded.ts";

export const range = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
