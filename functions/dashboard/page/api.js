// Client of the API: every request has a timeout, can be aborted, and fails with a message for the user.

const LIMIT_MS = 15_000;
/** The server reads at most ten seconds for a CSV response. */
const PART_LIMIT_MS = 30_000;

/** A failed request. `status` is 0 if there was no response. */
export class ApiError extends Error {
  constructor(message, { status = 0, retryAfter = null, signIn = false } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.retryAfter = retryAfter;
    this.signIn = signIn;
  }
}

/** Dispatched on `window` if a response requires a sign-in. */
export const SIGN_IN = "sign-in-needed";

let skew = 0;

/** The server's time: "today" must not depend on the user's clock, which may be wrong. */
export const now = () => Date.now() + skew;

async function request(method, path, { signal, body, limit = LIMIT_MS, read = (response) => response.json() } = {}) {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new DOMException("took too long", "TimeoutError")), limit);
  let response;
  let answer;
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(path, {
      method,
      cache: "no-store",
      credentials: "same-origin",
      headers: { accept: "application/json", ...(sent === undefined ? {} : await bodyHeaders(sent)) },
      body: sent,
      signal: signal ? AbortSignal.any([timeout.signal, signal]) : timeout.signal,
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
  // The header has a precision of one second, so smaller differences are ignored.
  if (Number.isFinite(date) && Math.abs(date - Date.now()) > 2000) skew = date - Date.now();
  if (response.ok && answer !== undefined) return answer;
  const failure = new ApiError(
    typeof answer?.error === "string" ? sentence(answer.error) : `The server answered ${response.status} without a reason.`,
    {
      status: response.status,
      retryAfter: Number(response.headers.get("retry-after")) || null,
      signIn: response.status === 401 && answer?.sign_in === true,
    },
  );
  if (failure.status === 401 && path !== "api/session") window.dispatchEvent(new CustomEvent(SIGN_IN));
  throw failure;
}

/** Headers for a body. CloudFront's origin access control requires the digest. `subtle` exists only with TLS, and so does CloudFront. */
async function bodyHeaders(sent) {
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

/** A path with all non-empty parameters. Paths are relative, because the page may be served under a prefix. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  ).toString();
  return query ? `${path}?${query}` : path;
}

export const get = (path, parameters, options) => request("GET", address(path, parameters), options);
/** CSV lines: the text, the path of the next lines if there are more, and whether there are more. */
export const getPart = (path, options) =>
  request("GET", path, {
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
export const post = (path, body = {}, options) => request("POST", path, { ...options, body });
export const remove = (path, options) => request("DELETE", path, options);

/** Runs one task at a time: a new task aborts the previous one, so that a late response of an old task is never shown. */
export function latest(outer) {
  let current = null;
  return async (task) => {
    current?.abort();
    const controller = new AbortController();
    current = controller;
    const signal = AbortSignal.any([controller.signal, outer]);
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
