import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** The rows of one query on a connection of its own. */
export async function ask(config: pg.ClientConfig, query: string): Promise<unknown[]> {
  const client = new pg.Client(config);
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(query)).rows;
  } finally {
    await client.end();
  }
}

/** Waits until a condition holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`it never came that ${what}`);
}
