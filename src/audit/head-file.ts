import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { createInterface } from "node:readline";

export interface AuditHead {
  seq: bigint;
  hash: string;
  at: Date;
}

/** Where the head of the audit chain is appended, outside Postgres: a chain that was cut or rewritten there is found here. */
export interface HeadFile {
  readonly path: string;
  /** Resolves when the line is durable, or when that has failed: a commit that took place stands without it. */
  append(head: AuditHead): Promise<void>;
}

/**
 * Appends one line per commit, in the order of their numbers as far as they wait together, one fsync for all that wait. A failure is
 * reported once, until a line is written again.
 */
export function appendingHeadFile(path: string, report: (message: string) => void = warn): HeadFile {
  let waiting: AuditHead[] = [];
  let next: Promise<void> | undefined;
  let last: Promise<void> = Promise.resolve();
  let failing = false;
  const writeAll = async (): Promise<void> => {
    const heads = waiting.sort((a, b) => (a.seq < b.seq ? -1 : 1));
    [waiting, next] = [[], undefined];
    try {
      await appendLines(path, heads.map(lineOf));
      failing = false;
    } catch (error) {
      if (!failing) report(`the head of the audit chain could not be kept in ${path}: ${(error as Error).message}`);
      failing = true;
    }
  };
  return {
    path,
    append: (head) => {
      waiting.push(head);
      if (next === undefined) {
        next = last.then(writeAll);
        last = next;
      }
      return next;
    },
  };
}

function warn(message: string): void {
  process.emitWarning(message, "TidegateWarning");
}

function lineOf({ seq, hash, at }: AuditHead): string {
  return `${seq} ${hash} ${at.toISOString()}\n`;
}

async function appendLines(path: string, lines: readonly string[]): Promise<void> {
  const file = await open(path, "a+", 0o600);
  try {
    // A process that died while it wrote may have left half a line.
    const start = (await endsWithNewline(file)) ? "" : "\n";
    await file.appendFile(start + lines.join(""));
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function endsWithNewline(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return true;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === 0x0a;
}

/** The heads that a file holds, hash by number. No file holds none; a line that was cut short is passed over. */
export async function readHeadFile(path: string): Promise<Map<bigint, string>> {
  const heads = new Map<bigint, string>();
  try {
    for await (const line of createInterface({ input: createReadStream(path, "utf8") })) {
      const [, seq, hash] = /^(\d+) ([0-9a-f]{64}) /.exec(line) ?? [];
      if (seq !== undefined && hash !== undefined) heads.set(BigInt(seq), hash);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return heads;
}
