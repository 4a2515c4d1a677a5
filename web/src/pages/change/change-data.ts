import { useQuery } from "@tanstack/react-query";
import type { Answer } from "../../api/client.ts";
import { question } from "../../api/queries.ts";

export type Shown = Answer<"GET /v1/changes/{id}">;
export type VerdictOf = Answer<"GET /v1/changes/{id}/verdict">;
export type DiffOf = Answer<"GET /v1/changes/{id}/diff">;
export type ChecksOf = Answer<"GET /v1/changes/{id}/checks">;
export type TestsOf = Answer<"GET /v1/changes/{id}/tests">;

/** All that a page tells of a change. What is under way is asked at once; what one tab needs is asked by that tab. */
export function useChange(id: string) {
  const path = { id };
  const shown = useQuery(question("GET /v1/changes/{id}", { path }));
  const known = shown.data !== undefined;
  return {
    shown,
    verdict: useQuery({ ...question("GET /v1/changes/{id}/verdict", { path }), enabled: known }),
    diff: useQuery({ ...question("GET /v1/changes/{id}/diff", { path, query: { samples: 0 } }), enabled: known }),
    checks: useQuery({ ...question("GET /v1/changes/{id}/checks", { path }), enabled: known }),
    tests: useQuery({ ...question("GET /v1/changes/{id}/tests", { path }), enabled: known }),
    plan: useQuery({ ...question("GET /v1/changes/{id}/plan", { path }), enabled: known && shown.data?.change.state !== "merged" }),
  };
}

export type ChangeData = ReturnType<typeof useChange>;
