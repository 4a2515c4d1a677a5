/*
 * A process that uses a data folder's Postgres: `node embedded-user.mjs <launcher.js> <folder>`. It says "ready <json>" when it is in, and
 * "left" when it has let go, which it does at the end of its input.
 */
const [launcher, folder] = process.argv.slice(2);
const { startEmbedded } = await import(launcher);
try {
  const postgres = await startEmbedded(folder);
  process.stdout.write(`ready ${JSON.stringify(postgres.config)}\n`);
  process.stdin.resume();
  process.stdin.once("end", () => {
    void postgres.release().then(() => process.stdout.write("left\n"));
  });
} catch (error) {
  process.stdout.write(`failed ${JSON.stringify(error)}\n`);
  process.exitCode = 1;
}
