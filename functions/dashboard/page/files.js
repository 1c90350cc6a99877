// Saves files: tables that come in parts, and what the page itself holds.

import { getPart } from "./api.js";
import { fill, h } from "./dom.js";
import { number, plural } from "./format.js";

/** A table of more parts than this ends early and says so: each is up to 10,000 lines, made from up to 20,000 events. */
const MOST_PARTS = 100;

/** Hands texts to the browser as one file. */
export function save(name, type, texts) {
  const url = URL.createObjectURL(new Blob(texts, { type }));
  const link = h("a", { download: name });
  // Not by `h`, which lets links lead to views and the API only; this one leads to what the page just wrote.
  link.href = url;
  link.click();
  URL.revokeObjectURL(url);
}

/** A link to a table whose parts are fetched one after the other and saved as one file. While they are, it stops them. */
export function csvLink(label, name, { href, signal }) {
  const told = h("span", { class: "muted", role: "status" });
  let running = null;
  const link = h("a", { class: "button", href, download: name, onclick: (event) => {
    event.preventDefault();
    if (running) running.abort();
    else fetchAll();
  } }, label);

  async function fetchAll() {
    running = new AbortController();
    const inner = AbortSignal.any([running.signal, signal]);
    fill(link, "Stop the download");
    const texts = [];
    let lines = -1;
    try {
      let next = link.getAttribute("href");
      let part;
      do {
        part = await getPart(next, { signal: inner });
        texts.push(part.text);
        lines += (part.text.match(/\n/g) ?? []).length;
        next = part.next;
        fill(told, ` ${plural(lines, "line")} so far…`);
      } while (next && texts.length < MOST_PARTS);
      save(name, "text/csv;charset=utf-8", texts);
      fill(told, part.truncated ? ` ${number(lines)} lines, the newest first; there are more events than this file holds.` : "");
    } catch (error) {
      if (!signal.aborted) fill(told, inner.aborted ? " Stopped." : ` ${error.message}`);
    } finally {
      running = null;
      fill(link, label);
    }
  }

  return { link, told };
}
