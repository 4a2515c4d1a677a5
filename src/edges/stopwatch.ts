/** Starts measuring; the function gives the real milliseconds since then. For costs of work, never for time in Tidegate's world. */
export function stopwatch(): () => number {
  const began = performance.now();
  return () => performance.now() - began;
}
