// Asks the API: every request has a time limit, can be given up, and fails with words for a person.

const LIMIT_MS = 15_000;
/** A part of a table is read for ten seconds at most before it is sent. */
const PART_LIMIT_MS = 30_000;

/** Why a request has no answer. `status` is 0 where there was none at all. */
export class ApiError extends Error {
  constructor(message, { status = 0, retryAfter = null, signIn = false } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.retryAfter = retryAfter;
    this.signIn = signIn;
  }
}

/** Dispatched on `window` when an answer says that somebody must sign in first. */
export const SIGN_IN = "sign-in-needed";

let skew = 0;

/** The server's time: the reader's clock may be wrong, and what "today" is must not depend on it. */
export const now = () => Date.now() + skew;

async function ask(method, path, { signal, body, limit = LIMIT_MS, read = (response) => response.json() } = {}) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(new DOMException("took too long", "TimeoutError")), limit);
  let response;
  let answer;
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(path, {
      method,
      cache: "no-store",
      credentials: "same-origin",
      headers: { accept: "application/json", ...(sent === undefined ? {} : await described(sent)) },
      body: sent,
      signal: signal ? AbortSignal.any([patience.signal, signal]) : patience.signal,
    });
    answer = response.status === 204 ? null : await (response.ok ? read(response) : response.json()).catch((error) => {
      if (error.name === "SyntaxError") return undefined;
      throw error;
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error.name === "TimeoutError") {
      throw new ApiError(`The server did not answer within ${limit / 1000} seconds.`);
    }
    throw new ApiError("The server cannot be reached. Check the connection and try again.");
  } finally {
    clearTimeout(timer);
  }
  const date = Date.parse(response.headers.get("date") ?? "");
  // The header has whole seconds: a smaller difference says nothing.
  if (Number.isFinite(date) && Math.abs(date - Date.now()) > 2000) skew = date - Date.now();
  if (response.ok && answer !== undefined) return answer;
  const refusal = new ApiError(
    typeof answer?.error === "string" ? sentence(answer.error) : `The server answered ${response.status} without saying why.`,
    {
      status: response.status,
      retryAfter: Number(response.headers.get("retry-after")) || null,
      signIn: response.status === 401 && answer?.sign_in === true,
    },
  );
  if (refusal.status === 401 && path !== "api/session") window.dispatchEvent(new CustomEvent(SIGN_IN));
  throw refusal;
}

/** What a body is. Its digest is what CloudFront's origin access control signs for it; there is no `subtle` without TLS, and no CloudFront. */
async function described(sent) {
  const headers = { "content-type": "application/json" };
  if (crypto.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(sent)));
    headers["x-amz-content-sha256"] = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return headers;
}

const sentence = (text) => {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
};

/** A path with the parameters that have a value. Paths are relative: the page may live under a prefix. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  ).toString();
  return query ? `${path}?${query}` : path;
}

export const get = (path, parameters, options) => ask("GET", address(path, parameters), options);
/** A part of a table: its text, the path of the next part if there is one, and whether there is more at all. */
export const getPart = (path, options) =>
  ask("GET", path, {
    ...options,
    limit: PART_LIMIT_MS,
    read: async (response) => {
      const query = /^<(\?[^>]*)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
      return {
        text: await response.text(),
        next: query ? path.replace(/\?.*$/, "") + query : null,
        truncated: response.headers.get("x-truncated") === "true",
      };
    },
  });
export const post = (path, body = {}, options) => ask("POST", path, { ...options, body });
export const remove = (path, options) => ask("DELETE", path, options);

/** Runs one task at a time: starting the next gives up the one before, so that a late answer of an old one is never shown. */
export function latest(outer) {
  let current = null;
  return async (task) => {
    current?.abort();
    const mine = new AbortController();
    current = mine;
    const signal = AbortSignal.any([mine.signal, outer]);
    try {
      const result = await task(signal);
      return signal.aborted ? undefined : result;
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  };
}

export const messagePath = (id) => `api/messages/${encodeURIComponent(id)}`;
export const recipientPath = (number) => `api/recipients/${encodeURIComponent(number)}`;
