// Starts and stops `netcore-webhooks serve` on a free port, with a random token.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HEADER = "x-netcore-token";
const READY_MS = 30_000;

/** Starts an instance with a temporary data folder, which is deleted at its stop. `options` are additional arguments of `serve`. */
export async function start({ options = [], environment = {} } = {}) {
  const command = process.env.NETCORE_WEBHOOKS;
  if (!command) throw new Error("NETCORE_WEBHOOKS is not set; start the tests with tests/browser/run");
  const data = await mkdtemp(join(tmpdir(), "netcore-webhooks-"));
  const token = randomBytes(16).toString("hex");
  const auth = JSON.stringify({ accept: [{ type: "header", name: HEADER, values: [token] }] });
  const server = spawn(command, ["--data", data, "serve", "--listen", "127.0.0.1:0", ...options], {
    // On a slow machine, events must not go through the retry queue, which would delay them.
    env: { ...process.env, WEBHOOK_AUTH: auth, ACK_BUDGET_MS: "20000", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  server.stdout.setEncoding("utf8");
  server.stderr.setEncoding("utf8");
  server.stderr.on("data", (text) => { output += text; });
  const base = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready after ${READY_MS / 1000} s:\n${output}`)), READY_MS);
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`ended with ${code}:\n${output}`)));
    server.stdout.on("data", (text) => {
      output += text;
      if (!/^ready$/m.test(output)) return;
      clearTimeout(timer);
      resolve(/(http:\/\/127\.0\.0\.1:\d+)\/lambda-url\//.exec(output)[1]);
    });
  }).catch(async (error) => {
    server.kill();
    await rm(data, { recursive: true, force: true });
    throw error;
  });
  return {
    base,
    auth,
    data,
    command,
    async stop() {
      if (server.exitCode === null) {
        const ended = new Promise((resolve) => server.once("exit", resolve));
        server.kill("SIGTERM");
        await ended;
      }
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** Posts a body as a provider does. */
export async function post({ base, auth }, name, body) {
  const { name: header, values } = JSON.parse(auth).accept[0];
  const response = await fetch(`${base}/lambda-url/${name}/`, {
    method: "POST",
    headers: { "content-type": "application/json", [header]: values[0] },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, answer: response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text };
}
