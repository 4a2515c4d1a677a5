/** Where the head of the audit chain is appended, outside Postgres. */
export interface HeadFile {
  append(line: { seq: bigint; hash: string; at: Date }): Promise<void>;
}
