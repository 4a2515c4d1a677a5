import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { noCommands, type CommandSettings } from "./consumers/command-settings.ts";
import { addressForms, type AddressForm } from "./lake/store.ts";
import { AppError } from "./lib/errors.ts";
import { publicOnly, type WebhookSettings } from "./webhooks/address.ts";
import { readYaml, schemaProblems } from "./lib/yaml.ts";

/*
 * config.yaml in the data folder: what only the person at this machine may decide. No request can read or change it.
 */

export interface LocalConfig {
  commands: CommandSettings;
  webhooks: WebhookSettings;
  /** How the tables' own files name each other. */
  addresses: AddressForm;
}

const schema = z.strictObject({
  commands: z.strictObject({ allow: z.boolean().optional(), timeoutMs: z.number().int().min(100).max(3_600_000).optional() }).optional(),
  webhooks: z.strictObject({ http: z.boolean().optional(), privateHosts: z.array(z.string().min(1)).max(100).optional() }).optional(),
  store: z.strictObject({ addresses: z.enum(addressForms).optional() }).optional(),
});

/** The file's settings; the defaults where there is no file. */
export function readLocalConfig(dataDir: string): LocalConfig {
  const path = join(dataDir, "config.yaml");
  const text = textOf(path);
  if (text === undefined) return { commands: noCommands, webhooks: publicOnly, addresses: "path" };
  const read = readYaml(text);
  const parsed = "source" in read ? schema.safeParse(read.source.value ?? {}) : undefined;
  if (parsed?.success === true) {
    const { commands = {}, webhooks = {}, store = {} } = parsed.data;
    return {
      commands: { ...noCommands, allow: commands.allow ?? noCommands.allow, timeoutMs: commands.timeoutMs ?? noCommands.timeoutMs },
      webhooks: { http: webhooks.http ?? publicOnly.http, privateHosts: webhooks.privateHosts ?? publicOnly.privateHosts },
      addresses: store.addresses ?? "path",
    };
  }
  const problems = "problems" in read ? read.problems : parsed?.error === undefined ? [] : schemaProblems(parsed.error, read.source);
  const [first] = problems;
  throw new AppError("config.invalid", `${path} cannot be read: line ${first?.line}: ${first?.message}.`, {
    expected: "commands: { allow: true, timeoutMs: 60000 }",
    found: first?.path === "" || first === undefined ? "something else" : first.path,
    hint: `mend ${path}, or remove it`,
    details: { problems },
  });
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
