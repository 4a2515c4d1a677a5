import type { CommandSettings } from "../consumers/command-settings.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { ModelRunner } from "../engine/models.ts";
import type { SourceReader } from "../engine/source.ts";

/** What proposing works with, beside the lake: files of others. */
export interface ChangeDeps extends LakeDeps {
  sources: SourceReader;
  /** Runs consumers' models, where the runtime is installed. */
  models: ModelRunner;
  /** What the local configuration says of consumers' commands; off when it says nothing. */
  commands?: CommandSettings | undefined;
}
