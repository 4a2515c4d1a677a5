import type { Rule } from "../contracts/rule.ts";
import type { Finding } from "../evidence/evidence.ts";
import type { Answer } from "./ask-rules.ts";
import type { CheckReason } from "./check.ts";
import { decodeCell, encodeCell } from "./measure.ts";
import { judge, type Reading } from "./reading.ts";

/* An answer as evidence keeps it: numbers of rows in the body, whatever shows a value of a row apart from it, where it can be erased. */

export interface AnswerBody {
  evaluated: string | null;
  bad: string | null;
  reason: CheckReason | null;
  decided?: Reading["verdict"];
  noWorse: boolean;
  drift?: Answer["drift"];
}

export interface AnswerValues {
  value: string | null;
  detail?: string | undefined;
  found?: string | undefined;
  base?: string | undefined;
  samples: { key: unknown; cells: readonly (readonly [number, unknown])[] }[];
}

export function keptOf(rule: Rule, { reading, drift, noWorse, base, samples, untold }: Answer): Finding<AnswerBody, AnswerValues> {
  // On its own: with the clock (of moments) and the other rules of the batch (of drift) it is judged again whenever it is read.
  const alone = drift === undefined ? judge(rule, reading).verdict : drift.isLarge && (drift.p ?? 1) < 0.005 ? "fail" : "pass";
  return {
    verdict: noWorse ? "pass" : alone,
    untold,
    body: {
      evaluated: reading.evaluated?.toString() ?? null,
      bad: reading.bad?.toString() ?? null,
      reason: reading.reason,
      decided: reading.verdict,
      noWorse,
      drift,
    },
    values: {
      value: reading.value,
      detail: reading.detail,
      found: reading.found,
      base,
      samples: samples.map(({ key, cells }) => ({
        key: key === null ? null : key.map(encodeCell),
        cells: cells.map(([id, cell]) => [id, encodeCell(cell)] as const),
      })),
    },
  };
}

export function answerOf(body: AnswerBody, values: AnswerValues | undefined): Answer {
  const count = (text: string | null): bigint | null => (text === null ? null : BigInt(text));
  return {
    reading: {
      value: values?.value ?? null,
      evaluated: count(body.evaluated),
      bad: count(body.bad),
      reason: body.reason,
      detail: values?.detail,
      found: values?.found,
      verdict: body.decided,
    },
    drift: body.drift,
    noWorse: body.noWorse,
    base: values?.base,
    samples: (values?.samples ?? []).map(({ key, cells }) => ({
      key: Array.isArray(key) ? key.map(decodeCell) : null,
      cells: cells.map(([id, cell]) => [id, decodeCell(cell)] as const),
    })),
  };
}
