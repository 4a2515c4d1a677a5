import { sparkJar, startPython } from "./readers.ts";

/** What a client of the catalogue answers. */
export interface Answer {
  error?: string;
  sum?: number;
  version?: string;
  tables?: string[];
  snapshots?: number;
  /** How long the client took. */
  ms: number;
}

export interface Session {
  ask(question: { do: string; [key: string]: unknown }): Promise<Answer>;
  close(): void;
}

export const clients = ["pyiceberg", "duckdb", "spark"] as const;
export type Client = (typeof clients)[number];

/** A client that stays, with the catalogues that it was told of. */
export function openSession(client: Client, uri: string, folder: string): Session {
  const python = startPython("session.py", [client, uri, ...(client === "spark" ? [sparkJar()] : [])], folder);
  let last: Promise<unknown> = Promise.resolve();
  return {
    // One after the other, as a session does.
    ask: (question) => {
      const answer = last.then(async () => (await python.ask(question)) ?? { error: `ended: ${await python.ended}`, ms: 0 });
      last = answer;
      return answer as Promise<Answer>;
    },
    close: () => python.child.stdin.end(),
  };
}
