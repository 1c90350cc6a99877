// Starts an instance, fills it, runs the tests on it, and always stops it.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fill } from "./lib/fill.js";
import { start } from "./lib/instance.js";

const begun = Date.now();
const instance = await start();
let code = 1;
try {
  await fill(instance);
  console.log(`filled after ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  const chosen = process.argv.slice(2);
  const files = readdirSync(new URL("tests/", import.meta.url))
    .filter((file) => file.endsWith(".test.js") && (!chosen.length || chosen.some((word) => file.includes(word))))
    .map((file) => `tests/${file}`);
  code = await new Promise((resolve) => {
    const tests = spawn(process.execPath, ["--test", "--test-concurrency=2", "--test-reporter=spec", ...files], {
      cwd: new URL(".", import.meta.url),
      stdio: "inherit",
      env: { ...process.env, BASE: instance.base, WEBHOOK_AUTH: instance.auth },
    });
    process.once("SIGINT", () => tests.kill("SIGINT"));
    process.once("SIGTERM", () => tests.kill("SIGTERM"));
    tests.on("exit", (status) => resolve(status ?? 1));
  });
} finally {
  await instance.stop();
}
console.log(`${((Date.now() - begun) / 1000).toFixed(0)} s in all`);
process.exitCode = code;
