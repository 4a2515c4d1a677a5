import { z } from "zod";
import { dataText, type DataGuardrails, type DriftGuardrail, type PairedGuardrail } from "./data-guardrail.ts";
import { reportsForSafe, short, type Guardrail, type Margin } from "./judge.ts";

/* Guardrails as people write them: `guardrails: [{outcome: conversion, worse: lower, margin: 2 %}]` beside the steps of a plan. */

/** What the judge looks at beside the consumers themselves. */
export interface Guardrails extends DataGuardrails {
  outcomes: readonly Guardrail[];
  /** When no consumer fails and all have read, a step goes on although outcomes are not proved yet. */
  exactDecides: boolean;
}

/** Metrics that every report may carry; their direction is known. */
export const errorsMetric = "errors";
export const latencyMetric = "latency";

export const metricPattern = /^[A-Za-z][A-Za-z0-9 _./-]{0,99}$/;

const margin = z.union([z.number().min(0), z.string()]).transform((written, context): Margin => {
  if (typeof written === "number") return { value: written, by: "unit" };
  const found = /^\s*(\d+(?:\.\d+)?)\s*(%|sd)?\s*$/.exec(written);
  if (found !== null) return { value: Number(found[1]), by: found[2] === "%" ? "percent" : found[2] === "sd" ? "sd" : "unit" };
  context.addIssue({ code: "custom", message: "expected what is tolerated: 0.01, 5 % of what current has, or 0.25 sd" });
  return z.NEVER;
});

const alpha = z.union([z.number(), z.string()]).transform((written, context): number => {
  const found = typeof written === "number" ? [0, written] : /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(written);
  const value = found === null ? Number.NaN : typeof written === "number" ? written : Number(found[1]) / 100;
  if (value >= 0.0001 && value <= 0.2) return value;
  context.addIssue({ code: "custom", message: "expected a chance from 0.01 % to 20 %, such as 5 %" });
  return z.NEVER;
});

const columnNames = z.union([
  z
    .string()
    .min(1)
    .transform((name) => [name]),
  z.array(z.string().min(1)).min(1).max(100),
]);

const writtenGuardrail = z.strictObject({
  outcome: z.string().regex(metricPattern, "expected a name of letters, digits, blanks, _ . / or -, of at most 100").optional(),
  worse: z.enum(["higher", "lower"]).optional(),
  kind: z.enum(["mean", "rate"]).optional(),
  margin: margin.optional(),
  alpha: alpha.optional(),
  minimum: z.number().int().min(30).max(1_000_000).optional(),
  checks: z.literal(true).optional(),
  drift: z.union([z.literal(true).transform((): "all" => "all"), columnNames]).optional(),
  paired: z.union([z.literal(true).transform((): "all" => "all"), columnNames]).optional(),
  harm: z.boolean().optional(),
});

type WrittenGuardrail = z.output<typeof writtenGuardrail>;
type ReadGuardrail = { outcome: Guardrail } | { checks: true } | { drift: DriftGuardrail } | { paired: PairedGuardrail };

const guardrail = writtenGuardrail.transform((written, context): ReadGuardrail => {
  const wrong = (message: string, path: string[] = []): never => {
    context.addIssue({ code: "custom", message, path });
    return z.NEVER;
  };
  const { outcome, checks, drift, paired, harm, ...ofOutcome } = written;
  if ([outcome, checks, drift, paired].filter((item) => item !== undefined).length !== 1)
    return wrong("expected one of: outcome, checks, drift, paired");
  const shared = paired === undefined ? [] : ["worse", "margin"];
  const [stray] = outcome === undefined ? Object.keys(ofOutcome).filter((key) => !shared.includes(key)) : [];
  if (stray !== undefined) return wrong("expected beside an outcome only", [stray]);
  if (harm !== undefined && (drift ?? paired) === undefined) return wrong("expected beside drift or paired only", ["harm"]);
  if (checks !== undefined) return { checks };
  if (drift !== undefined) return { drift: { columns: drift, harm: harm ?? false } };
  if (paired !== undefined) {
    const { worse, margin: tolerated = { value: 0, by: "unit" } } = written;
    if (tolerated.by === "sd") return wrong("expected a number, or percent: one pair has no deviation", ["margin"]);
    return {
      paired: { tests: paired, ...(worse === undefined ? {} : { worse }), margin: { ...tolerated, by: tolerated.by }, harm: harm ?? false },
    };
  }
  const metric = outcome ?? "";
  if (written.margin === undefined) return wrong("expected what is tolerated: 0.01, 5 % of what current has, or 0.25 sd", ["margin"]);
  const isKnown = metric === errorsMetric || metric === latencyMetric;
  if (!isKnown && written.worse === undefined) return wrong("expected worse: higher or lower", ["worse"]);
  return { outcome: outcomeOf(metric, written.margin, written) };
});

function outcomeOf(metric: string, tolerated: Margin, written: WrittenGuardrail): Guardrail {
  return {
    metric,
    worse: written.worse ?? "higher",
    kind: written.kind ?? (metric === errorsMetric ? "rate" : "mean"),
    margin: tolerated,
    alpha: written.alpha ?? 0.05,
    minimum: written.minimum ?? 100,
  };
}

const nameOf = (item: ReadGuardrail): string => ("outcome" in item ? `outcome ${item.outcome.metric}` : Object.keys(item).join());

/** The list of a plan; an empty one switches the judge off. */
export const guardrailsShape = z
  .array(guardrail)
  .max(20)
  .refine((list) => new Set(list.map(nameOf)).size === list.length, "expected each outcome once, and checks, drift and paired once each")
  .transform((list): Omit<Guardrails, "exactDecides"> | "off" => {
    if (list.length === 0) return "off";
    const drift = list.flatMap((item) => ("drift" in item ? [item.drift] : []))[0];
    const paired = list.flatMap((item) => ("paired" in item ? [item.paired] : []))[0];
    return {
      outcomes: list.flatMap((item) => ("outcome" in item ? [item.outcome] : [])),
      ...(list.some((item) => "checks" in item) ? { checks: true } : {}),
      ...(drift === undefined ? {} : { drift }),
      ...(paired === undefined ? {} : { paired }),
    };
  });

const keptShape = z.union([
  z.literal("off"),
  z.object({
    outcomes: z.array(
      z.object({
        metric: z.string(),
        worse: z.enum(["higher", "lower"]),
        kind: z.enum(["mean", "rate"]),
        margin: z.object({ value: z.number(), by: z.enum(["unit", "percent", "sd"]) }),
        alpha: z.number(),
        minimum: z.number(),
      }),
    ),
    exactDecides: z.boolean(),
    checks: z.literal(true).optional(),
    drift: z.object({ columns: z.union([z.literal("all"), z.array(z.string())]), harm: z.boolean() }).optional(),
    paired: z
      .object({
        tests: z.union([z.literal("all"), z.array(z.string())]),
        worse: z.enum(["higher", "lower"]).optional(),
        margin: z.object({ value: z.number(), by: z.enum(["unit", "percent"]) }),
        harm: z.boolean(),
      })
      .optional(),
  }),
]);

/** Who judges a release: nobody, or the exact guardrail with those of outcomes. */
export type Judging = Guardrails | "off";

export const onlyExact: Guardrails = { outcomes: [], exactDecides: false };

/** Guardrails that were kept as JSON; without any only consumers themselves count. */
export function keptGuardrails(value: unknown): Judging {
  return value === null || value === undefined ? onlyExact : keptShape.parse(value);
}

/** Guardrails as people write them. */
export function guardrailsDocument(judging: Judging): { guardrails?: Record<string, unknown>[]; exact?: "decides" } {
  if (judging === "off") return { guardrails: [] };
  const outcomes = judging.outcomes.map((item) => ({
    outcome: item.metric,
    worse: item.worse,
    ...(item.kind === "rate" ? { kind: "rate" } : {}),
    margin: marginText(item.margin),
    ...(item.alpha === 0.05 ? {} : { alpha: item.alpha }),
    ...(item.minimum === 100 ? {} : { minimum: item.minimum }),
  }));
  const { checks, drift, paired } = judging;
  const guardrails: Record<string, unknown>[] = [
    ...outcomes,
    ...(checks === undefined ? [] : [{ checks }]),
    ...(drift === undefined ? [] : [{ drift: drift.columns === "all" ? true : drift.columns, ...(drift.harm ? { harm: true } : {}) }]),
    ...(paired === undefined ? [] : [pairedDocument(paired)]),
  ];
  return { ...(guardrails.length === 0 ? {} : { guardrails }), ...(judging.exactDecides ? { exact: "decides" } : {}) };
}

function pairedDocument({ tests, worse, margin: tolerated, harm }: PairedGuardrail): Record<string, unknown> {
  return {
    paired: tests === "all" ? true : tests,
    ...(worse === undefined ? {} : { worse }),
    ...(tolerated.value === 0 && tolerated.by === "unit" ? {} : { margin: marginText(tolerated) }),
    ...(harm ? { harm: true } : {}),
  };
}

function marginText({ value, by }: Margin): number | string {
  return by === "unit" ? value : `${value} ${by === "percent" ? "%" : "sd"}`;
}

/** What is known of a metric from reports before: its mean, and the standard deviation of one value. */
export interface KnownMetric {
  mean: number;
  deviation: number;
}

/** What the judge looks at, one line each, with how many reports SAFE needs. */
export function judgingText(judging: Judging, known: ReadonlyMap<string, KnownMetric> = new Map()): string[] {
  if (judging === "off") return ["nobody judges: steps go on by time alone"];
  const decides = judging.exactDecides ? "; that is enough to go on, whatever outcomes do not prove yet" : "";
  return [
    `each moved consumer must read the candidate, and none may fail where it worked${decides}`,
    ...judging.outcomes.map((item) => {
      const needs = reportsForSafe(item, known.get(item.metric));
      const count = needs === undefined ? unknownNeeds(item) : `SAFE needs about ${needs} reports, both sides together`;
      return `${item.metric}: ${item.worse === "higher" ? "not higher" : "not lower"} by more than ${marginWords(item.margin)}; ${count}`;
    }),
    ...dataText(judging),
  ];
}

function unknownNeeds({ margin: { value } }: Guardrail): string {
  return value === 0
    ? "SAFE only when it is proved better"
    : "how many reports SAFE needs is told once some have come: about 300 where that is half a standard deviation, 720 where a quarter";
}

const marginWords = ({ value, by }: Margin): string => (by === "unit" ? short(value) : `${value} ${by === "percent" ? "%" : "sd"}`);
