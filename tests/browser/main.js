// Starts an instance, fills it, runs the tests on it, and always stops it. With `--screenshots FOLDER`, makes
// pictures for the documentation instead.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fill } from "./lib/fill.js";
import { start } from "./lib/instance.js";
import { folderOf, screenshots } from "./lib/screenshots.js";

const begun = Date.now();
const RATE_CARD = JSON.stringify({ currency: "INR", rates: [{ price: 0.2 }, { channel: "SMS", price: 0.12, per: "sent" }, { channel: "WHATSAPP", category: "marketing", price: 0.88 }] });
const instance = await start({ environment: { RATE_CARD } });
let code = 1;
try {
  const [option, folder] = process.argv.slice(2);
  if (option === "--screenshots" && folder) {
    await screenshots(instance, folderOf(folder));
    code = 0;
  } else {
    await fill(instance);
    console.log(`filled after ${((Date.now() - begun) / 1000).toFixed(1)} s`);
    code = await test(process.argv.slice(2));
  }
} finally {
  await instance.stop();
}
console.log(`${((Date.now() - begun) / 1000).toFixed(0)} s in all`);
process.exitCode = code;

/** Runs the test files whose names contain one of the words; without words, all. */
function test(chosen) {
  const files = readdirSync(new URL("tests/", import.meta.url))
    .filter((file) => file.endsWith(".test.js") && (!chosen.length || chosen.some((word) => file.includes(word))))
    .map((file) => `tests/${file}`);
  return new Promise((resolve) => {
    const tests = spawn(process.execPath, ["--test", "--test-concurrency=2", "--test-reporter=spec", ...files], {
      cwd: new URL(".", import.meta.url),
      stdio: "inherit",
      env: { ...process.env, BASE: instance.base, WEBHOOK_AUTH: instance.auth },
    });
    process.once("SIGINT", () => tests.kill("SIGINT"));
    process.once("SIGTERM", () => tests.kill("SIGTERM"));
    tests.on("exit", (status) => resolve(status ?? 1));
  });
}
