import type { Client } from "./client.ts";

/** What the server says of a model that was sent. */
export interface SentModel {
  file: string;
  sha256: string;
}

/** Sends a model; its bytes are kept under their hash, so sending it again changes nothing. */
export async function sendModel(client: Client, path: string): Promise<SentModel> {
  return client.ask<SentModel>("POST", "/v1/models", { body: { source: await client.source([path]) } });
}
