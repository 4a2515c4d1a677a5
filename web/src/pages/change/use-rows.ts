import { useQueries } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { question } from "../../api/queries.ts";
import type { DiffRow } from "../../api/routes.ts";
import type { RowKind } from "../../router.tsx";

export interface RowFilter {
  dataset: string;
  kind: RowKind | undefined;
  column: string | undefined;
  key: string | undefined;
}

const pageSize = 200;

/** Rows of a diff, page by page: only what is looked at is asked for, and what was asked for is kept. */
export function useRows(id: string, filter: RowFilter) {
  const [pages, setPages] = useState<readonly number[]>([0]);
  const answers = useQueries({
    queries: pages.map((page) =>
      question("GET /v1/changes/{id}/diff/rows", {
        path: { id },
        query: { ...withoutGaps(filter), offset: page * pageSize, limit: pageSize },
      }),
    ),
  });
  const byPage = new Map(pages.map((page, at) => [page, answers[at]?.data?.rows]));
  const onSeen = useCallback((first: number, last: number): void => {
    const from = Math.floor(first / pageSize);
    const wanted = Array.from({ length: Math.floor(last / pageSize) - from + 1 }, (_, step) => from + step);
    setPages((now) => (wanted.every((page) => now.includes(page)) ? now : [...new Set([0, ...wanted])]));
  }, []);
  const failed = answers.find(({ error }) => error !== null);
  return {
    total: answers.find(({ data }) => data !== undefined)?.data?.total,
    first: byPage.get(0) ?? [],
    rowAt: (at: number): DiffRow | undefined => byPage.get(Math.floor(at / pageSize))?.[at % pageSize],
    onSeen,
    error: failed?.error ?? null,
    again: () => void failed?.refetch(),
  };
}

/** What is asked holds no gaps: it is the key under which the answer is kept. */
function withoutGaps({ dataset, kind, column, key }: RowFilter) {
  return {
    dataset,
    ...(kind === undefined ? {} : { kind }),
    ...(column === undefined ? {} : { column }),
    ...(key === undefined ? {} : { key }),
  };
}
