import { parseJson, toJson } from "../lib/json.ts";
import { LosslessNumber } from "lossless-json";
import type { Call } from "./router.ts";

type AnyCall = Pick<Call<unknown, unknown, unknown>, "context" | "entrance">;

export type RowFormat = "json" | "ndjson" | "csv";

const types = {
  json: "application/json; charset=utf-8",
  ndjson: "application/x-ndjson; charset=utf-8",
  csv: "text/csv; charset=utf-8",
} as const satisfies Record<RowFormat, string>;

/** Media types that rows come in. */
export const rowTypes: readonly string[] = Object.values(types).map((type) => type.replace(/;.*/, ""));

/** The first of our media types that an Accept header names; JSON when it names none. */
export function formatOfAccept(header: string | undefined): RowFormat {
  const wanted = (header ?? "").split(",").map((part) => (part.split(";")[0] ?? "").trim().toLowerCase());
  const named = wanted.flatMap((type) => (Object.keys(types) as RowFormat[]).filter((format) => types[format].startsWith(`${type};`)));
  return named[0] ?? "json";
}

/** A CSV field: quoted when it must be, and when it is empty text, which is not NULL. */
function csvField(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text =
    typeof value === "string" ? value : typeof value === "object" && !(value instanceof LosslessNumber) ? toJson(value) : String(value);
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvLine(row: string, columns: readonly string[]): string {
  const values = parseJson(row) as Record<string, unknown>;
  return `${columns.map((name) => csvField(values[name])).join(",")}\n`;
}

/** Text of rows in a format. JSON is closed only when the rows have ended well, so that what is cut short never parses. */
async function* textOf(rows: AsyncIterable<string[]>, format: RowFormat, columns: readonly string[]): AsyncGenerator<string> {
  if (format === "csv") yield `${columns.map(csvField).join(",")}\n`;
  if (format === "json") yield "[";
  let first = true;
  for await (const batch of rows) {
    if (batch.length === 0) continue;
    if (format === "csv") yield batch.map((row) => csvLine(row, columns)).join("");
    else if (format === "ndjson") yield `${batch.join("\n")}\n`;
    else yield `${first ? "" : ","}\n${batch.join(",\n")}`;
    first = false;
  }
  if (format === "json") yield "\n]\n";
}

/**
 * Rows as the body of an answer, with backpressure. The first rows are awaited before the head goes out, so that a query that fails at once
 * is an error like any other; one that fails later breaks the connection off: the reader never takes a part for the whole.
 */
export async function rowsResponse(
  call: AnyCall,
  rows: AsyncIterable<string[]>,
  options: { format: RowFormat; columns: readonly string[]; headers: Record<string, string> },
): Promise<Response> {
  const texts = textOf(rows, options.format, options.columns)[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const head: IteratorResult<string>[] = [await texts.next()];
  if (head[0]?.done !== true) head.push(await texts.next());
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const next = head.shift() ?? (await texts.next());
        if (next.done === true) controller.close();
        else controller.enqueue(encoder.encode(next.value));
      } catch (error) {
        if (breakOff(call, error)) controller.close();
        else controller.error(error);
      }
    },
    cancel: async () => {
      await texts.return?.(undefined);
    },
  });
  return new Response(body, { headers: { "content-type": types[options.format], ...options.headers } });
}

/**
 * Cuts the connection of an answer that failed midway, if there is one: the server's own way would be to add the error's text and end well.
 */
export function breakOff({ context, entrance }: AnyCall, error: unknown): boolean {
  const { outgoing } = (context.env ?? {}) as { outgoing?: { destroy(): void } };
  if (outgoing === undefined) return false;
  entrance.report?.(error);
  outgoing.destroy();
  return true;
}
