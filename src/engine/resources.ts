/** What the machine and the user allow, together. */
export interface ResourceBudget {
  memoryMb: number;
  threads: number;
}

export interface Resources {
  engine: ResourceBudget;
  input: ResourceBudget;
  sandbox: ResourceBudget & { size: number };
}

/** Half of the machine's memory, at most 4 GB, and all its processors, unless the user says otherwise. */
export function budgetOf(
  machine: { memoryMb: number; processors: number },
  asked: { memoryMb?: number | undefined; threads?: number | undefined } = {},
): ResourceBudget {
  return {
    memoryMb: asked.memoryMb ?? Math.max(512, Math.min(4096, Math.floor(machine.memoryMb / 2))),
    threads: asked.threads ?? Math.max(1, machine.processors),
  };
}

/** Shares one budget out: half to the engine, a fifth to reading input, the rest to the children that run others' SQL. */
export function shareResources(budget: ResourceBudget): Resources {
  const part = (share: number) => Math.max(128, Math.floor(budget.memoryMb * share));
  const size = budget.memoryMb >= 3072 ? 2 : 1;
  return {
    engine: { memoryMb: part(0.5), threads: budget.threads },
    input: { memoryMb: part(0.2), threads: budget.threads },
    sandbox: { memoryMb: part(0.3 / size), threads: Math.max(1, Math.floor(budget.threads / 2)), size },
  };
}
