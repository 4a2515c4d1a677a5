import { randomUUID } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../config.ts";
import { AppError, type ErrorFacts } from "../lib/errors.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import { parseJson, toJson } from "../lib/json.ts";
import { readServerFile } from "../lib/server-file.ts";

type Method = "GET" | "POST" | "DELETE";

export interface Ask {
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  body?: unknown;
}

/** An answer that is no envelope: rows, a file. */
export interface Opened {
  headers: Headers;
  /** Throws `answer.broken` when it ends before its time. */
  body: AsyncIterable<Uint8Array>;
}

/** What a command speaks to: a server, or the same app in this process. */
export interface Client {
  /** The server's address. */
  base: string;
  /** The data of an envelope; its error is thrown. */
  ask<T>(method: Method, path: string, ask?: Ask): Promise<T>;
  /** An answer that is no envelope; its error is thrown. */
  open(method: "GET" | "POST", path: string, ask?: Ask): Promise<Opened>;
  /** Files as a source of an operation: by path where the other side is this process, else uploaded. */
  source(paths: readonly string[]): Promise<{ paths: string[] } | { uploads: string[] }>;
  close(): Promise<void>;
}

export interface ClientOptions {
  as?: string | undefined;
  /** Ends all that is under way. */
  signal?: AbortSignal | undefined;
  /** The command may begin a data folder; others say that there is none. */
  creates?: boolean | undefined;
  /** Told how many bytes of a file have been sent. */
  onUpload?: ((name: string, done: number, total: number) => void) | undefined;
  /** Told what failed of the work that was left behind the command, which itself is done; the next command tries it again. */
  onLeft?: ((error: unknown) => void) | undefined;
}

interface Transport {
  base: string;
  token: string | undefined;
  send(request: Request): Promise<Response>;
  /** The other side reads files by path. */
  inProcess: boolean;
  close(): Promise<void>;
}

class HttpClient implements Client {
  readonly #transport: Transport;
  readonly #options: ClientOptions;

  get base(): string {
    return this.#transport.base;
  }

  constructor(transport: Transport, options: ClientOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  async ask<T>(method: Method, path: string, ask: Ask = {}): Promise<T> {
    const response = await this.#request(method, path, ask);
    const body = parseJson(await this.#text(response)) as { data: unknown };
    return body.data as T;
  }

  async open(method: "GET" | "POST", path: string, ask: Ask = {}): Promise<Opened> {
    const response = await this.#request(method, path, ask);
    return { headers: response.headers, body: this.#chunks(response) };
  }

  async source(paths: readonly string[]): Promise<{ paths: string[] } | { uploads: string[] }> {
    if (this.#transport.inProcess) return { paths: [...paths] };
    const uploads: string[] = [];
    for (const path of paths) uploads.push(await this.#upload(path));
    return { uploads };
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #upload(path: string): Promise<string> {
    const name = basename(path);
    const { size } = await stat(path).catch((error: unknown) => {
      throw new AppError("input.not_found", `There is no file ${path}.`, { found: path, hint: "ls", cause: error });
    });
    const { onUpload, signal } = this.#options;
    const counted = async function* () {
      let done = 0;
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) {
        done += (chunk as Buffer).length;
        onUpload?.(name, done, size);
        yield chunk as Buffer;
      }
    };
    const response = await this.#checked(() => {
      const init = {
        method: "PUT",
        body: Readable.toWeb(Readable.from(counted())),
        duplex: "half",
        headers: this.#headers(),
        signal: signal ?? null,
      };
      return new Request(`${this.#transport.base}/v1/uploads/${encodeURIComponent(name)}`, init as RequestInit);
    });
    return (parseJson(await this.#text(response)) as { data: { id: string } }).data.id;
  }

  #request(method: Method, path: string, { query = {}, body }: Ask): Promise<Response> {
    const url = new URL(`${this.#transport.base}${path}`);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    const headers = {
      ...this.#headers(),
      ...(method === "POST" ? { "content-type": "application/json", "idempotency-key": randomUUID() } : {}),
    };
    const init: RequestInit = {
      method,
      headers,
      ...(method === "POST" ? { body: toJson(body ?? {}) } : {}),
      signal: this.#options.signal ?? null,
    };
    return this.#checked(() => new Request(url, init));
  }

  #headers(): Record<string, string> {
    const { token } = this.#transport;
    const { as } = this.#options;
    return { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(as === undefined ? {} : { "tidegate-as": as }) };
  }

  /** A connection that broke before any answer is tried once more: the Idempotency-Key sees to it that nothing is done twice. */
  async #checked(request: () => Request): Promise<Response> {
    // In this process nothing else sees an interruption that came while Postgres was starting.
    this.#options.signal?.throwIfAborted();
    const first = request();
    const response = await this.#transport.send(first).catch(async (error: unknown) => {
      if (!isBrokenConnection(error) || this.#options.signal?.aborted === true || first.method === "PUT") throw error;
      await sleep(300);
      return this.#transport.send(request());
    });
    if (response.ok) return response;
    throw refusalOf(response.status, await this.#text(response));
  }

  async #text(response: Response): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.#chunks(response)) text += decoder.decode(chunk, { stream: true });
    return text + decoder.decode();
  }

  async *#chunks(response: Response): AsyncGenerator<Uint8Array> {
    if (response.body === null) return;
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) yield chunk;
    } catch (error) {
      if (error instanceof AppError || this.#options.signal?.aborted === true) throw error;
      throw new AppError("answer.broken", "The answer broke off before its end; what came is not all of it.", {
        expected: "a whole answer",
        found: reasonOf(error),
        hint: "run the same command again",
        cause: error,
      });
    }
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string } };
  return cause?.message ?? message ?? String(error);
}

function isBrokenConnection(error: unknown): boolean {
  const { cause } = error as { cause?: { cause?: { code?: string }; code?: string } };
  return ["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"].includes(cause?.cause?.code ?? cause?.code ?? "");
}

/** The error that a refused request tells; one of ours also when the other side does not speak our language. */
function refusalOf(status: number, text: string): AppError {
  try {
    const { error } = parseJson(text) as unknown as { error: { code: ErrorCode; message: string } & ErrorFacts };
    const { code, message, ...facts } = error;
    return new AppError(code, message, facts);
  } catch (error) {
    const found = `${status} ${text.slice(0, 200).replaceAll(/\s+/g, " ")}`;
    return new AppError("server.unreachable", "What answers there is not Tidegate.", {
      expected: "a running tidegate serve",
      found,
      hint: "check --server and TIDEGATE_URL",
      cause: error,
    });
  }
}

function overTheWire(url: string, token: string | undefined): Transport {
  const base = url.replace(/\/+$/, "");
  if (!URL.canParse(base))
    throw new AppError("usage.invalid", "The server's address is not understood.", {
      expected: "such as http://127.0.0.1:7420",
      found: url,
      hint: "check --server and TIDEGATE_URL",
    });
  const send = async (request: Request): Promise<Response> => {
    try {
      return await fetch(request);
    } catch (error) {
      if ((error as Error).name === "AbortError") throw error;
      throw new AppError("server.unreachable", `No server answers at ${base}.`, {
        expected: "a running tidegate serve",
        found: reasonOf(error),
        hint: "tidegate serve",
        cause: error,
      });
    }
  };
  return { base, token, send, inProcess: false, close: async () => {} };
}

/** The server named by flag or environment, else the one that runs on the data folder, else the app in this process. */
export async function openClient(config: Config, options: ClientOptions): Promise<Client> {
  if (config.serverUrl !== undefined) return new HttpClient(overTheWire(config.serverUrl, config.token), options);
  const server = await readServerFile(config.dataDir);
  if (server !== undefined) return new HttpClient(overTheWire(server.url, config.token ?? server.token), options);
  // A folder that is there for something else is left as it is, unless the command is meant to begin one.
  if (options.creates !== true && config.databaseUrl === undefined && !existsSync(join(config.dataDir, "lake"))) {
    throw new AppError("data.missing", "There is no data here yet.", {
      expected: "a data folder, or a server",
      found: existsSync(config.dataDir) ? `${config.dataDir} holds none` : `no folder ${config.dataDir}`,
      hint: "tidegate import <name> <file>, tidegate demo, or --data <folder>",
    });
  }
  return new HttpClient(await inProcess(config, options), options);
}

async function inProcess(config: Config, { signal, onLeft }: ClientOptions): Promise<Transport> {
  const [{ openServices }, { createApp }] = await Promise.all([import("../compose.ts"), import("../http/app.ts")]);
  const services = await openServices(config);
  const app = createApp(services, { local: true });
  return {
    base: "http://in.process",
    token: config.token,
    send: async (request) => app.fetch(request),
    inProcess: true,
    close: async () => {
      try {
        // Who is interrupted does not wait: the next command does what is left.
        if (signal?.aborted !== true) {
          await services.drainOutbox().catch((error: unknown) => onLeft?.(error));
          await services.deliverWebhooks().catch((error: unknown) => onLeft?.(error));
        }
      } finally {
        await services.close();
      }
    },
  };
}
