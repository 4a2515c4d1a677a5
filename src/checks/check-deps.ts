import type { LakeDeps } from "../effects/lake-deps.ts";
import type { RunOptions } from "../engine/engine.ts";
import type { Sandbox, SandboxCaps } from "../engine/sandbox.ts";
import type { Side } from "../catalog/side.ts";
import type { Contract } from "../contracts/contract.ts";
import type { Rule } from "../contracts/rule.ts";
import type { Schema } from "../lake/schema.ts";

/** What checking works with. */
export interface CheckDeps extends LakeDeps {
  sandbox: Sandbox;
  sqlCaps: SandboxCaps;
}

/** What is checked: a state of the catalogue, and the one that it came from. Without base, versions are checked on their own. */
export interface CheckSides {
  base: Side | undefined;
  candidate: Side;
  /** The datasets to check: those that the change touches. Datasets that point at them by a foreign key are looked at too. */
  datasetIds: readonly string[];
}

export interface CheckOptions extends RunOptions {
  /** Only these rules, by id; one that no dataset has is refused. */
  rules?: readonly string[] | undefined;
  /** The rules of a contract; those of contracts/contract-rules.ts when absent. */
  rulesOf?: ((contract: Contract, schema: Schema) => readonly Rule[]) | undefined;
  /** What base fails as much is only said of the checked datasets too, not of those alone that the change leaves alone. */
  excusesOwn?: boolean | undefined;
}
