import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import type { Config } from "../config.ts";
import { AppError, type ErrorFacts } from "../lib/errors.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import { parseJson, toJson } from "../lib/json.ts";
import { readServerFile } from "../lib/server-file.ts";

export interface Ask {
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** What a command speaks to: a server, or the same app in this process. */
export interface Client {
  /** The data of an envelope; its error is thrown. */
  ask<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, ask?: Ask): Promise<T>;
  /** An answer that is no envelope: rows, a file. Its error is thrown. */
  open(method: "GET" | "POST", path: string, ask?: Ask): Promise<Response>;
  /** Files as a source of an operation: by path where the other side shares our disk, else uploaded. */
  source(paths: readonly string[]): Promise<{ paths: string[] } | { uploads: string[] }>;
  close(): Promise<void>;
}

type Send = (request: Request) => Promise<Response>;

class HttpClient implements Client {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #send: Send;
  readonly #shared: boolean;
  readonly #close: () => Promise<void>;

  constructor(options: { base: string; headers: Record<string, string>; send: Send; sharesDisk: boolean; close: () => Promise<void> }) {
    this.#base = options.base;
    this.#headers = options.headers;
    this.#send = options.send;
    this.#shared = options.sharesDisk;
    this.#close = options.close;
  }

  async ask<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, ask: Ask = {}): Promise<T> {
    const response = await this.#request(method, path, ask);
    const body = parseJson(await response.text()) as { ok: boolean; data: unknown };
    return body.data as T;
  }

  open(method: "GET" | "POST", path: string, ask: Ask = {}): Promise<Response> {
    return this.#request(method, path, ask);
  }

  async source(paths: readonly string[]): Promise<{ paths: string[] } | { uploads: string[] }> {
    if (this.#shared) return { paths: [...paths] };
    const uploads: string[] = [];
    for (const path of paths) {
      const { size } = await stat(path);
      const body = Readable.toWeb(createReadStream(path)) as ReadableStream;
      const init = { method: "PUT", body, duplex: "half", headers: { ...this.#headers, "content-length": String(size) } };
      const request = new Request(`${this.#base}/v1/uploads/${encodeURIComponent(basename(path))}`, init as RequestInit);
      const response = await this.#checked(request);
      uploads.push((parseJson(await response.text()) as { data: { id: string } }).data.id);
    }
    return { uploads };
  }

  close(): Promise<void> {
    return this.#close();
  }

  #request(method: string, path: string, { query = {}, body, signal }: Ask): Promise<Response> {
    const url = new URL(`${this.#base}${path}`);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    const json = body === undefined && method !== "GET" ? {} : body;
    const init: RequestInit = {
      method,
      headers: { ...this.#headers, ...(method === "GET" ? {} : { "content-type": "application/json" }) },
      ...(json === undefined ? {} : { body: toJson(json) }),
      ...(signal === undefined ? {} : { signal }),
    };
    return this.#checked(new Request(url, init));
  }

  async #checked(request: Request): Promise<Response> {
    const response = await this.#send(request);
    if (response.ok) return response;
    const text = await response.text();
    try {
      const { error } = parseJson(text) as unknown as { error: { code: ErrorCode; message: string } & ErrorFacts };
      const { code, message, ...facts } = error;
      throw new AppError(code, message, facts);
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError("server.unreachable", "The server gave no answer that can be read.", {
        found: `${response.status} ${text.slice(0, 200)}`,
        hint: "tidegate doctor",
      });
    }
  }
}

function overTheWire(base: string, token: string | undefined, as: string | undefined, sharesDisk: boolean): Client {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(as === undefined ? {} : { "tidegate-as": as }),
  };
  const send: Send = async (request) => {
    try {
      return await fetch(request);
    } catch (error) {
      if ((error as Error).name === "AbortError") throw error;
      throw new AppError("server.unreachable", `No server answers at ${base}.`, {
        expected: "a running tidegate serve",
        found: String((error as { cause?: unknown }).cause ?? error),
        hint: "tidegate serve",
        cause: error,
      });
    }
  };
  return new HttpClient({ base: base.replace(/\/$/, ""), headers, send, sharesDisk, close: async () => {} });
}

/** The server named by flag or environment, else the one that runs on the data folder, else the app in this process. */
export async function openClient(config: Config, options: { as?: string | undefined }): Promise<Client> {
  if (config.serverUrl !== undefined) return overTheWire(config.serverUrl, config.token, options.as, false);
  const server = await readServerFile(config.dataDir);
  if (server !== undefined) return overTheWire(server.url, config.token ?? server.token, options.as, false);
  const [{ openServices }, { createApp }] = await Promise.all([import("../compose.ts"), import("../http/app.ts")]);
  const services = await openServices(config);
  const app = createApp(services, { local: true });
  return new HttpClient({
    base: "http://in.process",
    headers: {
      ...(config.token === undefined ? {} : { authorization: `Bearer ${config.token}` }),
      ...(options.as === undefined ? {} : { "tidegate-as": options.as }),
    },
    send: async (request) => app.fetch(request),
    sharesDisk: true,
    close: async () => {
      try {
        await services.drainOutbox();
      } finally {
        await services.close();
      }
    },
  });
}
