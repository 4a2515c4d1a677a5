import type { ColumnStatistics } from "../../api/routes.ts";
import { cellText, rounded } from "../../lib/format.ts";

type Statistics = NonNullable<ColumnStatistics>;

/* The API tells five quantiles: 5, 25, 50, 75 and 95 of a hundred. */
const names = ["5 %", "25 %", "half", "75 %", "95 %"];

/** Numbers behind values of one column; moments count too. Undefined where there is no axis. */
function numbersOf(statistics: ColumnStatistics): { min: number; max: number; at: number[] } | undefined {
  if (statistics === null || statistics.quantiles === null) return undefined;
  const number = (value: unknown): number =>
    typeof value === "number" ? value : typeof value === "string" ? readNumber(value) : Number.NaN;
  const [min, max, at] = [number((statistics as Statistics).min), number((statistics as Statistics).max), statistics.quantiles.map(number)];
  return [min, max, ...at].every(Number.isFinite) && at.length === names.length ? { min, max, at } : undefined;
}

const shown = (value: unknown): string => cellText(rounded(value));

function readNumber(text: string): number {
  const value = Number(text);
  return Number.isNaN(value) ? Date.parse(text) : value;
}

/**
 * Where the values lie, base above candidate on one axis: a line from the least to the greatest, a bar for the middle nine of ten, a box for the
 * middle half, a mark where half of them are below.
 */
export function Spread({ name, before, after }: { name: string; before: ColumnStatistics; after: ColumnStatistics }) {
  const [left, right] = [numbersOf(before), numbersOf(after)];
  const sides = [left, right].filter((side) => side !== undefined);
  if (sides.length === 0) return null;
  const [low, high] = [Math.min(...sides.map(({ min }) => min)), Math.max(...sides.map(({ max }) => max))];
  const scale = (value: number): number => (high === low ? 240 : 8 + ((value - low) / (high - low)) * 464);
  const half = (statistics: ColumnStatistics): string => shown(statistics?.quantiles?.[2] ?? null);
  const text = `${name}: half of the values are below ${half(before)} on base and ${half(after)} on the candidate.`;
  return (
    <div className="chart">
      <svg viewBox="0 0 480 64" preserveAspectRatio="none" role="img" aria-label={text} height="64">
        {left === undefined ? null : <Strip side={left} scale={scale} y={4} kind="base" />}
        {right === undefined ? null : <Strip side={right} scale={scale} y={36} kind="cand" />}
      </svg>
      <div className="axis">
        <span>{shown((sides.length === 2 ? (left?.min ?? 0) <= (right?.min ?? 0) : left !== undefined) ? before?.min : after?.min)}</span>
        <span>{shown((sides.length === 2 ? (left?.max ?? 0) >= (right?.max ?? 0) : left !== undefined) ? before?.max : after?.max)}</span>
      </div>
      <p className="dim s">
        middle half{" "}
        {[before, after].map((side, index) => (
          <span key={index}>
            {index === 0 ? "" : ", then "}
            {side === null ? "–" : `${shown(side.quantiles?.[1] ?? null)} to ${shown(side.quantiles?.[3] ?? null)}`}
          </span>
        ))}
      </p>
    </div>
  );
}

function Strip({
  side,
  scale,
  y,
  kind,
}: {
  side: { min: number; max: number; at: number[] };
  scale: (value: number) => number;
  y: number;
  kind: "base" | "cand";
}) {
  const [p5 = 0, p25 = 0, p50 = 0, p75 = 0, p95 = 0] = side.at.map(scale);
  const [from, to] = [scale(side.min), scale(side.max)];
  const wide = (a: number, b: number): number => Math.max(2, b - a);
  return (
    <g className={`strip ${kind}`}>
      <path className="whisker" d={`M${from} ${y + 12}H${to}`} />
      <rect className="most" x={p5} y={y + 7} width={wide(p5, p95)} height="10" />
      <rect className="half" x={p25} y={y} width={wide(p25, p75)} height="24" />
      <path className="median" d={`M${p50} ${y - 2}v28`} />
    </g>
  );
}
