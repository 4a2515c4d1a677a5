import { createWriteStream } from "node:fs";
import { mkdir, realpath, rm, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "@hono/zod-openapi";
import { hashFiles } from "../changes/source-batch.ts";
import type { SourceInput } from "../changes/operation.ts";
import { AppError } from "../lib/errors.ts";
import { uploadAnswer } from "./answers.ts";
import type { Call, Router } from "./router.ts";
import type { Services } from "./services.ts";

const uploadLimit = 64 * 2 ** 30;

export const sourceBody = z
  .strictObject({
    uploads: z.array(z.string()).optional().openapi({ description: "Ids from POST /v1/uploads." }),
    paths: z.array(z.string()).optional().openapi({ description: "Files on the server, below its import roots." }),
    format: z.enum(["parquet", "csv", "tsv", "json", "ndjson"]).optional(),
    nullText: z.string().optional(),
    types: z.enum(["infer", "string"]).optional(),
  })
  .openapi("Source");

type SourceBody = z.output<typeof sourceBody>;

/** Uploads: how clients bring files to a server that does not share their disk. */
export function addUploadRoutes(router: Router): void {
  router.add(
    {
      method: "put",
      path: "/v1/uploads/{name}",
      tag: "changes",
      summary: "Upload a file; its body is the file",
      needs: "editor",
      params: z.object({ name: z.string().min(1).max(255) }),
      upload: "application/octet-stream",
      answer: "The upload's id, for `uploads` of a source.",
      data: uploadAnswer,
    },
    async (call) => {
      const { services, context } = call;
      const id = services.ids.next("upl");
      const folder = join(services.config.dataDir, "tmp", "uploads", id);
      const path = join(folder, fileName(call.params.name));
      await mkdir(folder, { recursive: true });
      try {
        await receive(context.req.raw, path, call.signal);
        const { size } = await stat(path);
        const contentHash = await hashFiles([path]);
        await services.db
          .insertInto("uploads")
          .values({
            id,
            name: basename(path),
            path,
            bytes: BigInt(size),
            content_hash: contentHash,
            created_by: call.actor,
            created_at: services.clock.now(),
          })
          .execute();
        return { id, bytes: size, contentHash };
      } catch (error) {
        await rm(folder, { recursive: true, force: true });
        throw error;
      }
    },
  );
}

/** The name that a file keeps, without the folders before it. */
function fileName(text: string): string {
  const name = basename(text);
  if (!["", ".", ".."].includes(name) && Buffer.byteLength(name) <= 255) return name;
  throw new AppError("name.invalid", "A file cannot be called so.", {
    expected: "a name of 1 to 255 bytes, such as orders.csv",
    found: text.slice(0, 100),
    hint: "PUT /v1/uploads/orders.csv",
  });
}

async function receive(request: Request, path: string, signal: AbortSignal): Promise<void> {
  let bytes = 0;
  const body = request.body === null ? Readable.from([]) : Readable.fromWeb(request.body as never);
  const limited = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      bytes += chunk.byteLength;
      if (bytes > uploadLimit) {
        throw new AppError("request.too_large", "The upload is too large.", {
          expected: `at most ${uploadLimit} bytes`,
          found: "more",
          hint: "split the file",
        });
      }
      yield chunk;
    }
  };
  await pipeline(body, limited, createWriteStream(path, { flags: "wx" }), { signal });
}

/** The local files of a source: uploads by id, and paths where the door allows them. */
export async function resolveSource(
  call: Pick<Call<unknown, unknown, unknown>, "services" | "entrance" | "actor">,
  body: SourceBody,
): Promise<SourceInput> {
  const { services, entrance } = call;
  const [paths, names]: [string[], string[]] = [[], []];
  for (const id of body.uploads ?? []) {
    const row = await services.db.selectFrom("uploads").selectAll().where("id", "=", id).executeTakeFirst();
    if (row === undefined || row.created_by !== call.actor) {
      throw new AppError("input.not_found", `There is no upload ${id}.`, {
        expected: "an upload of your own, less than a day old",
        found: id,
        hint: "upload the file again",
      });
    }
    paths.push(row.path);
    names.push(row.name);
  }
  for (const path of body.paths ?? []) {
    paths.push(entrance.local ? path : await belowRoots(path, services.config.importRoots));
    names.push(basename(path));
  }
  if (paths.length === 0)
    throw new AppError("input.not_found", "The operation brings no file.", { expected: "uploads or paths", found: "neither" });
  const { format, nullText, types } = body;
  return { paths, names, format, nullText, types };
}

/** Runs work over sources that were uploaded: an error names a file as its sender did, not the place where the server keeps it. */
export async function withUploads<T>(sources: readonly (SourceInput | undefined)[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const kept = sources.flatMap((source) =>
      (source?.paths ?? []).flatMap((path, index) => (isUpload(path) ? [[path, source?.names[index] ?? basename(path)] as const] : [])),
    );
    const named = <V extends string | undefined>(text: V): V =>
      kept.reduce<string | undefined>((said, [path, name]) => said?.replaceAll(path, name), text) as V;
    const { code, message, expected, found, hint, details, cause } = error;
    throw new AppError(code, named(message), { expected: named(expected), found: named(found), hint: named(hint), details, cause });
  }
}

const isUpload = (path: string): boolean => basename(dirname(path)).startsWith("upl_");

/** Deletes uploads that a finished request has used; a failed one may use them again. */
export async function spendUploads(
  { services }: Pick<Call<unknown, unknown, unknown>, "services">,
  bodies: readonly (SourceBody | undefined)[],
): Promise<void> {
  const ids = bodies.flatMap((body) => body?.uploads ?? []);
  if (ids.length > 0) await dropUploads(services, (query) => query.where("id", "in", ids));
}

/** Deletes uploads that nobody has used for a day. */
export async function forgetUploads(services: Services): Promise<void> {
  const before = new Date(services.clock.now().getTime() - 86_400_000);
  await dropUploads(services, (query) => query.where("created_at", "<", before));
}

type UploadRows = ReturnType<typeof deletedUploads>;

const deletedUploads = (services: Services) => services.db.deleteFrom("uploads").returning("path");

async function dropUploads(services: Services, which: (query: UploadRows) => UploadRows): Promise<void> {
  const rows = await which(deletedUploads(services)).execute();
  for (const row of rows) await rm(dirname(row.path), { recursive: true, force: true });
}

/** A path is followed to what it really is before it is compared: links and `..` lead nowhere. */
async function belowRoots(path: string, roots: readonly string[]): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  for (const root of real === undefined ? [] : roots) {
    const folder = await realpath(root).catch(() => undefined);
    if (folder !== undefined && real?.startsWith(folder + sep) === true) return real;
  }
  throw new AppError("input.path_escapes", "The server does not read files there.", {
    expected: roots.length === 0 ? "an upload: this server has no import roots" : `a file below ${roots.join(" or ")}`,
    found: path,
    hint: "upload the file, or start the server with TIDEGATE_IMPORT_ROOTS",
  });
}
