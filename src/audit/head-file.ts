import { open } from "node:fs/promises";

/** Where the head of the audit chain is appended, outside Postgres: a chain that was cut there is found here. */
export interface HeadFile {
  readonly path: string;
  append(line: { seq: bigint; hash: string; at: Date }): Promise<void>;
}

/** Appends one line per commit, durable, in the order of the calls. */
export function appendingHeadFile(path: string): HeadFile {
  let last: Promise<void> = Promise.resolve();
  const write = async (text: string): Promise<void> => {
    const file = await open(path, "a", 0o600);
    try {
      await file.write(text);
      await file.sync();
    } finally {
      await file.close();
    }
  };
  return {
    path,
    append: ({ seq, hash, at }) => {
      last = last.catch(() => undefined).then(() => write(`${seq} ${hash} ${at.toISOString()}\n`));
      return last;
    },
  };
}
