/** What the local configuration says of consumers' commands. */
export interface CommandSettings {
  /** Off unless the person at this machine says otherwise. */
  allow: boolean;
  /** How long one run may take. */
  timeoutMs: number;
  /** Bytes of output that are read. */
  outputBytes: number;
}

export const noCommands: CommandSettings = { allow: false, timeoutMs: 60_000, outputBytes: 2 ** 20 };
