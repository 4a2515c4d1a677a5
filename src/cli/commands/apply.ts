import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join, resolve, sep } from "node:path";
import { isModel, isOurs, type FolderFile } from "../../apply/folder.ts";
import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { AppliedAnswer } from "../../http/apply-answers.ts";
import type { VerdictAnswer } from "../../http/verdict-answers.ts";
import { mergedLines } from "../change-text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { sendModel } from "../send-model.ts";
import { checkLines, decisionLines, exitOf, nextOfDecision } from "../verdict-text.ts";
import { addFlags, addVerb } from "../verb.ts";

interface ApplyOptions {
  dryRun?: boolean;
  change?: string;
  title?: string;
  prune?: boolean;
  wait?: boolean;
  auto?: boolean;
}

/** apply: files from Git as one change. */
export function addApplyCommand(surroundings: Surroundings): void {
  const command = addVerb(
    surroundings.program,
    "apply",
    "Turn a folder of contracts, consumers, policy and derived datasets into one change.",
    ["tidegate apply data/ --dry-run", "tidegate apply data/ --title 'Rules for fares' --wait", "tidegate apply . --auto --json"],
  )
    .argument(
      "<folder>",
      "contracts/*.odcs.yaml, consumers/<name>.yaml, consumers/<name>/*.sql and *.onnx, policy.yaml, derived/<dataset>.sql",
    )
    .action((folder: string, options: ApplyOptions) =>
      withClient(surroundings, { doing: `Applying ${folder}` }, async (client) => {
        const root = resolve(surroundings.cwd, folder);
        const paths = await filesOf(root);
        const real = await realpath(root);
        const files: FolderFile[] = [];
        for (const path of paths.filter((item) => !isModel(item))) files.push({ path, text: await textOf(real, path) });
        const models: { path: string; sha256: string }[] = [];
        for (const path of paths.filter(isModel))
          models.push({ path, sha256: (await sendModel(client, await modelIn(real, path))).sha256 });
        const { dryRun, change, prune, auto, wait } = options;
        const title = options.title ?? (change === undefined ? `Apply ${basename(root)}` : undefined);
        const answer = await client.ask<AppliedAnswer>("POST", "/v1/apply", {
          body: { files, models: models.length === 0 ? undefined : models, change, title, prune, auto, dryRun },
        });
        const isOpen = answer.change !== null && answer.merged === null;
        const verdict =
          isOpen && wait === true ? await client.ask<VerdictAnswer>("GET", `/v1/changes/${answer.change?.id ?? ""}/verdict`) : undefined;
        tell(surroundings, folder, answer, { verdict, dryRun: dryRun === true });
        if (verdict !== undefined) surroundings.exit(exitOf[verdict.decision.outcome]);
      }),
    );
  addFlags(command, "What is done", [
    ["--dry-run", "only say what would be done; the files are read and checked all the same"],
    ["--prune", "take out the documents of consumers that the folder does not have"],
  ]);
  addFlags(command, "The change", [
    ["--title <title>", "what it is for"],
    ["--change <id>", "add to this open change"],
    ["--wait", "wait for the verdict, and exit by it: 1 failed, 3 needs a person, 4 could not tell"],
    ["--auto", "merge at once if policy lets it"],
  ]);
}

function tell(
  surroundings: Surroundings,
  folder: string,
  answer: AppliedAnswer,
  { verdict, dryRun }: { verdict: VerdictAnswer | undefined; dryRun: boolean },
): void {
  const out = surroundings.output();
  const { change, merged, sentence, lines } = answer;
  if (change === null) {
    const isNothing = !dryRun || sentence.startsWith("Nothing");
    out.result(answer, [sentence, ...lines], isNothing ? undefined : `tidegate apply ${folder}`);
    return;
  }
  const said = [`${change.id} ${sentence}`, ...lines];
  if (merged !== null) return out.result(answer, [...said, ...mergedLines(merged)], "tidegate log --live");
  if (verdict === undefined) return out.result(answer, said, `tidegate policy explain ${change.id}`);
  const judged = [...said, ...decisionLines(verdict.decision), ...checkLines(verdict.datasets)];
  out.result({ ...answer, verdict }, judged, nextOfDecision(change.id, verdict.decision));
}

/** Paths of the folder's files that are ours, by name. Hidden folders are left out. */
async function filesOf(root: string): Promise<string[]> {
  const found = await stat(root).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new AppError("input.not_found", `${root} is no folder.`, {
      expected: "a folder with contracts/, consumers/, derived/ or policy.yaml",
      found: found === undefined ? "nothing" : "a file",
      hint: "tidegate apply --help",
    });
  }
  const paths = await pathsBelow(root, "");
  if (paths.length === 0) {
    throw new AppError("input.not_found", `Nothing in ${root} is for the catalogue.`, {
      expected: "contracts/*.odcs.yaml, consumers/<name>.yaml, policy.yaml or derived/<dataset>.sql",
      found: counted(0, "file"),
      hint: "tidegate contract show <dataset> --yaml > contracts/<name>.odcs.yaml",
    });
  }
  if (paths.length > mostFiles) {
    throw new AppError("request.too_large", `${root} holds too many files.`, {
      expected: `at most ${mostFiles} for the catalogue`,
      found: counted(paths.length, "file"),
      hint: `tidegate apply ${root}/contracts, then its other folders`,
    });
  }
  return paths;
}

/** Beyond this a folder holds something else than texts that people write. */
const mostBytes = 4 * 2 ** 20;

const mostFiles = 20_000;

/**
 * The place of a file in the folder. A link is followed only where it stays inside: a folder that somebody else wrote must not send other files of
 * this machine.
 */
async function placeOf(root: string, path: string): Promise<string> {
  const file = await realpath(join(root, path)).catch((error: unknown) => {
    throw new AppError("input.not_found", `${path} points to nothing.`, {
      expected: "a file",
      found: path,
      hint: `ls -l ${path}`,
      cause: error,
    });
  });
  if (!file.startsWith(root.endsWith(sep) ? root : root + sep)) {
    throw new AppError("input.path_escapes", `${path} points out of the folder.`, {
      expected: "files below the folder",
      found: path,
      hint: "put the file itself there, in place of the link",
    });
  }
  return file;
}

/** The text of a file in the folder. What is no plain file (a pipe, a device) is not opened, since it may have no end. */
async function textOf(root: string, path: string): Promise<string> {
  const file = await placeOf(root, path);
  try {
    const { size } = await plainFile(file);
    if (size > mostBytes) throw new Error(`larger than ${mostBytes} bytes`);
    const bytes = await readFile(file);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new AppError("input.format", `${path} cannot be read as text.`, {
      expected: "UTF-8, at most 4 MB",
      found: error instanceof Error ? error.message : String(error),
      hint: `file ${path}`,
      cause: error,
    });
  }
}

/** The place of a model in the folder. */
async function modelIn(root: string, path: string): Promise<string> {
  const file = await placeOf(root, path);
  await plainFile(file).catch((cause: unknown) => {
    throw new AppError("input.format", `${path} is no plain file.`, {
      expected: "a model",
      found: "something else",
      hint: `ls -l ${path}`,
      cause,
    });
  });
  return file;
}

async function plainFile(file: string): Promise<{ size: number }> {
  const found = await stat(file);
  if (!found.isFile()) throw new Error("no plain file");
  return found;
}

async function pathsBelow(root: string, below: string): Promise<string[]> {
  const entries = await readdir(join(root, below), { withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    if (entry.isDirectory()) paths.push(...(await pathsBelow(root, path)));
    else if (isOurs(path)) paths.push(path);
  }
  return paths.sort();
}
