import type { RuleValue } from "../contracts/rule.ts";
import { literal, type Cell, type Expr } from "../engine/plan.ts";
import type { FieldType, PrimitiveType } from "../lake/schema.ts";
import { decimalShape, isFloating, isWhole, typeName } from "../lake/types.ts";
import { compareDecimals, decimalDigits, plainDecimal } from "../lib/decimal.ts";

/** Why a rule cannot be asked of a column. */
export interface Problem {
  reason: "column_missing" | "wrong_type" | "rule_error";
  detail: string;
}

export const isProblem = (value: unknown): value is Problem => typeof value === "object" && value !== null && "reason" in value;

const days = /^\d{4}-\d{2}-\d{2}$/;
const moments = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)\s*(Z|[+-]\d{2}:?\d{2})?$/i;

const wrongType = (value: RuleValue, type: FieldType): Problem => ({
  reason: "wrong_type",
  detail: `${value.value} is no ${typeName(type)}`,
});

/** A value of a rule as a constant that can be compared with a column of this type, exactly. */
export function literalOf(value: RuleValue, type: FieldType): Expr | Problem {
  if (typeof type !== "string") return wrongType(value, type);
  if (isWhole(type) || isFloating(type) || decimalShape(type) !== undefined) return numberLiteral(value, type);
  if (type === "boolean") {
    const text = value.value.toLowerCase();
    return text === "true" || text === "false" ? literal(text === "true", "boolean") : wrongType(value, type);
  }
  if (type === "string") return value.type === "boolean" ? wrongType(value, type) : literal(value.value, "string");
  if (type === "uuid")
    return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value.value) ? literal(value.value, type) : wrongType(value, type);
  const time = timeText(value.value, type);
  return time === undefined ? wrongType(value, type) : literal(time, type);
}

function numberLiteral(value: RuleValue, type: PrimitiveType): Expr | Problem {
  const text = value.type === "boolean" ? undefined : plainDecimal(value.value);
  if (text === undefined) return wrongType(value, type);
  if (isFloating(type)) return literal(Number(text), "double");
  const digits = decimalDigits(text);
  // In the column's own type where it fits, so that the column needs no cast.
  if (isWhole(type) && digits.scale === 0 && fitsLong(text)) return literal(wholeCell(text), fitsInt(text) ? type : "long");
  const shape = decimalShape(type);
  if (shape !== undefined && digits.scale <= shape.scale && digits.whole <= shape.precision - shape.scale) return literal(text, type);
  if (digits.whole + digits.scale > 38) return { reason: "rule_error", detail: `${text} has more than 38 digits` };
  return literal(text, `decimal(${Math.max(1, digits.whole + digits.scale)}, ${digits.scale})`);
}

const fitsLong = (text: string): boolean =>
  compareDecimals(text, "-9223372036854775808") >= 0 && compareDecimals(text, "9223372036854775807") <= 0;
const fitsInt = (text: string): boolean => compareDecimals(text, "-2147483648") >= 0 && compareDecimals(text, "2147483647") <= 0;

function wholeCell(text: string): Cell {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** ISO text in the form of a Cell of the type; undefined when it is no such time. */
export function timeText(text: string, type: PrimitiveType): string | undefined {
  const trimmed = text.trim();
  if (type === "time") return /^\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?$/.test(trimmed) ? trimmed : undefined;
  if (days.test(trimmed)) {
    if (Number.isNaN(Date.parse(`${trimmed}T00:00:00Z`))) return undefined;
    return type === "date" ? trimmed : `${trimmed}T00:00:00${type === "timestamptz" ? "Z" : ""}`;
  }
  const match = moments.exec(trimmed);
  if (match === null) return undefined;
  const [, day = "", time = "", zone = "Z"] = match;
  const withZone = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase();
  const at = new Date(`${day}T${time.length === 5 ? `${time}:00` : time.slice(0, 12)}${withZone}`);
  if (Number.isNaN(at.getTime())) return undefined;
  if (type === "date") return at.toISOString().endsWith("T00:00:00.000Z") ? at.toISOString().slice(0, 10) : undefined;
  const fraction = /\.(\d+)/.exec(time)?.[1];
  return `${at.toISOString().slice(0, 19)}${fraction === undefined ? "" : `.${fraction}`}${type === "timestamptz" ? "Z" : ""}`;
}
