/** Where progress is shown. */
export interface ProgressOptions {
  /** Somebody looks at standard error, and wants to. */
  shown: boolean;
  write(text: string): void;
  width: number;
}

const tickMilliseconds = 100;
const clear = "\r\u001b[2K";

/** One line about work that takes over half a second: what, how far, how long yet. It goes when the work ends, or tells of itself. */
export class Progress {
  readonly #options: () => ProgressOptions;
  #timer: NodeJS.Timeout | undefined;
  #drawn = false;
  #ticks = 0;
  #doing = "";
  #done = 0;
  #total = 0;

  constructor(options: () => ProgressOptions) {
    this.#options = options;
  }

  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.doing(what);
    if (this.#options().shown) this.#timer = setInterval(() => this.#tick(), tickMilliseconds).unref();
    try {
      return await work();
    } finally {
      this.end();
    }
  }

  /** What is being done now. */
  doing(what: string): void {
    [this.#doing, this.#done, this.#total] = [what, 0, 0];
  }

  /** How far it is; bytes, mostly. */
  at(done: number, total: number): void {
    [this.#done, this.#total] = [done, total];
  }

  /** Takes the line away; the command has something to say. */
  end(): void {
    clearInterval(this.#timer);
    if (this.#drawn) this.#options().write(clear);
    this.#drawn = false;
  }

  #tick(): void {
    this.#ticks += 1;
    const seconds = (this.#ticks * tickMilliseconds) / 1000;
    if (seconds < 0.5) return;
    const { write, width } = this.#options();
    write(`${clear}${progressLine(this.#doing, { seconds, done: this.#done, total: this.#total }).slice(0, width - 1)}`);
    this.#drawn = true;
  }
}

/** `Uploading orders.csv  43 %, 12 s to go`; without a known total, `Merging chg_7fk2  3 s`. */
export function progressLine(what: string, { seconds, done, total }: { seconds: number; done: number; total: number }): string {
  if (total <= 0 || done <= 0) return `${what}  ${Math.floor(seconds)} s`;
  const share = Math.min(1, done / total);
  const left = Math.ceil((seconds / share) * (1 - share));
  return `${what}  ${Math.floor(share * 100)} %${share < 1 ? `, ${left} s to go` : ""}`;
}
