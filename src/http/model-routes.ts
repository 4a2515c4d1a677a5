import { readFile, stat } from "node:fs/promises";
import { z } from "@hono/zod-openapi";
import { keepModel, largestModel, modelTooLarge } from "../catalog/model-store.ts";
import { AppError } from "../lib/errors.ts";
import type { Router } from "./router.ts";
import { resolveSource, sourceBody, spendUploads } from "./upload-routes.ts";

const tensor = z.object({
  name: z.string(),
  type: z.string().openapi({ example: "float32" }),
  shape: z.array(z.union([z.number(), z.string()])).openapi({ description: "Text: any size." }),
});

/** Models of consumers: their bytes are sent first, then a test names their hash. */
export function addModelRoutes(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/models",
      tag: "consumers",
      summary: "Keep a model file under the hash of its bytes, for tests that name it; nothing is run",
      needs: "editor",
      reads: true,
      body: z.strictObject({ source: sourceBody }),
      answer: "The hash, and what the model takes and gives.",
      data: z
        .object({
          file: z.string(),
          sha256: z.string(),
          bytes: z.number(),
          inputs: z.array(tensor),
          outputs: z.array(tensor),
          runtime: z.string().nullable().openapi({ description: "The runtime that will run it; null where none is installed." }),
        })
        .openapi("Model"),
    },
    async (call) => {
      const { paths, names } = await resolveSource(call, call.body.source);
      const [path, ...more] = paths;
      if (path === undefined || more.length > 0) {
        throw new AppError("input.format", "A model is one file.", {
          expected: "one file",
          found: `${paths.length} files`,
          hint: "send each by itself",
        });
      }
      const file = names[0] ?? "model.onnx";
      const found = await stat(path).catch((cause: unknown) => {
        throw new AppError("input.not_found", `There is no file ${file}.`, {
          expected: "a model file",
          found: file,
          hint: `ls ${file}`,
          cause,
        });
      });
      if (found.size > largestModel) throw modelTooLarge(found.size);
      const bytes = await readFile(path);
      const shape = call.services.models.read(bytes);
      const sha256 = await keepModel(call.services.store, bytes);
      await spendUploads(call, [call.body.source]);
      return { file, sha256, bytes: bytes.length, ...shape, runtime: call.services.models.version() ?? null };
    },
  );
}
