import { Agent, request } from "node:http";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

/* Clients in a thread of their own, so that what they do is no part of what the server is measured at. */

export interface Call {
  method: string;
  path: string;
  body?: unknown;
}

/** All calls, so many at a time. */
interface Calls {
  kind: "calls";
  calls: Call[];
  atOnce: number;
}

/** So many readers, each on a connection of its own, ask one address over and over until they are told to stop. */
interface Poll {
  kind: "poll";
  path: string;
  readers: number;
}

export interface Measured {
  /** Milliseconds of each call. */
  each: number[];
  total: number;
}

/** One answer of a reader: when it was asked for and got, by the clock of all threads, and what stands in it. */
export interface Polled {
  asked: number;
  got: number;
  body: string;
}

interface Target {
  url: string;
  token: string;
}

const now = (): number => performance.timeOrigin + performance.now();

function runClient({ url, token }: Target): void {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const send = ({ method, path, body }: Call): Promise<string> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? "" : JSON.stringify(body);
      const headers = {
        authorization: `Bearer ${token}`,
        ...(text === "" ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
      };
      const sent = request(`${url}${path}`, { method, agent, headers }, (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (answer += chunk));
        response.on("end", () => {
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`${method} ${path}: ${answer}`));
        });
      });
      sent.on("error", reject);
      sent.end(text);
    });
  const all = async ({ calls, atOnce }: Calls): Promise<Measured> => {
    const left = [...calls];
    const each: number[] = [];
    const began = performance.now();
    const one = async (): Promise<void> => {
      for (let call = left.shift(); call !== undefined; call = left.shift()) {
        const from = performance.now();
        await send(call);
        each.push(performance.now() - from);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, one));
    return { each, total: performance.now() - began };
  };
  let polling = false;
  const poll = async ({ path, readers }: Poll): Promise<Polled[]> => {
    polling = true;
    const answers: Polled[] = [];
    const reader = async (): Promise<void> => {
      while (polling) {
        const asked = now();
        const body = await send({ method: "GET", path });
        answers.push({ asked, got: now(), body });
      }
    };
    await Promise.all(Array.from({ length: readers }, reader));
    return answers;
  };
  parentPort?.on("message", (order: Calls | Poll | { kind: "stop" }) => {
    if (order.kind === "stop") {
      polling = false;
      return;
    }
    void (order.kind === "calls" ? all(order) : poll(order)).then(
      (done) => parentPort?.postMessage({ done }, []),
      (error: unknown) => parentPort?.postMessage({ error: String(error) }, []),
    );
  });
}

export interface Client {
  ask(calls: Call[], atOnce: number): Promise<Measured>;
  /** Readers that ask until `stop`, which gives all that they were answered. */
  poll(path: string, readers: number): { stop(): Promise<Polled[]> };
  end(): Promise<number>;
}

export function startClient(target: Target): Client {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: target });
  const order = <T>(what: Calls | Poll): Promise<T> =>
    new Promise((resolve, reject) => {
      worker.once("message", ({ done, error }: { done?: T; error?: string }) =>
        done === undefined ? reject(new Error(error)) : resolve(done),
      );
      worker.postMessage(what, []);
    });
  return {
    ask: (calls, atOnce) => order<Measured>({ kind: "calls", calls, atOnce }),
    poll: (path, readers) => {
      const answers = order<Polled[]>({ kind: "poll", path, readers });
      return {
        stop: () => {
          worker.postMessage({ kind: "stop" }, []);
          return answers;
        },
      };
    },
    end: () => worker.terminate(),
  };
}

/** The value below which a share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

if (!isMainThread) runClient(workerData as Target);
