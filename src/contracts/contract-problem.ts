/*
 * What is wrong with a contract's document. Readers of parts report by path; contract-document.ts says where in the text that is.
 */

export type DocumentPath = readonly (string | number)[];

/** Why a part of a document is refused (`error`), or kept but not checked (`warning`). */
export type ProblemReason =
  | "syntax"
  | "too_large"
  | "too_deep"
  | "duplicate_key"
  | "unknown_key"
  | "missing_key"
  | "wrong_type"
  | "wrong_value"
  | "reference"
  | "pattern"
  | "duplicate_id"
  | "column_unknown"
  | "ambiguous"
  | "not_checked";

export interface ContractProblem {
  path: DocumentPath;
  level: "error" | "warning";
  reason: ProblemReason;
  message: string;
  expected?: string | undefined;
  found?: string | undefined;
  hint?: string | undefined;
}

/** A document's path as people read it: `$.schema[0].properties[2].quality[0]`. */
export function pathText(path: DocumentPath): string {
  const part = (item: string | number): string => {
    if (typeof item === "number") return `[${item}]`;
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(item) ? `.${item}` : `[${JSON.stringify(item)}]`;
  };
  return `$${path.map(part).join("")}`;
}
