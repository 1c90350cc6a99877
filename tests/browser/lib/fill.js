// Fills an instance with simulated messages of the last days and the known cases.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as cases from "./cases.js";
import { post } from "./instance.js";

const run = promisify(execFile);
const COUNTED_MS = 60_000;

export async function fill(instance) {
  await run(instance.command, ["--data", instance.data, "simulate", "--url", instance.base, "--messages", "200", "--seed", "7"], {
    env: { ...process.env, WEBHOOK_AUTH: instance.auth },
    timeout: 60_000,
  });
  for (const [name, body] of cases.all) {
    const { status, answer } = await post(instance, name, body);
    const refused = cases.deadLetters.bodies.some(([, deadLetter]) => deadLetter === body);
    // A body without a readable record is refused and becomes a dead letter.
    if (status !== 200 && !(refused && status === 400)) throw new Error(`${name} answered ${status}: ${JSON.stringify(answer)}`);
  }
  await counted(instance);
}

/** Waits until all known cases are counted. */
async function counted({ base }) {
  const { figures } = cases;
  const until = Date.now() + COUNTED_MS;
  for (;;) {
    const response = await fetch(`${base}/api/summary?${new URLSearchParams({ from: figures.from, to: figures.to, bot: figures.bot })}`);
    if (!response.ok) throw new Error(`the summary answered ${response.status}: ${await response.text()}`);
    const { counts } = await response.json();
    const sum = counts.reduce((all, { count }) => all + count, 0);
    if (sum === figures.records.length) return;
    if (Date.now() > until) throw new Error(`${sum} of ${figures.records.length} events were counted after ${COUNTED_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
