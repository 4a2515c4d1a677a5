import type { LakeDeps } from "../effects/lake-deps.ts";
import type { Sandbox, SandboxCaps } from "../engine/sandbox.ts";
import type { SourceReader } from "../engine/source.ts";

/** What proposing works with, beside the lake: files of others and SQL of others. */
export interface ChangeDeps extends LakeDeps {
  sandbox: Sandbox;
  sources: SourceReader;
  sqlCaps: SandboxCaps;
}
