// Downloads: CSV in several requests, and data of the page.

import { getPart } from "./api.js";
import { fill, h } from "./dom.js";
import { number, plural } from "./format.js";

/** Maximum number of requests; the page says if there are more lines. Each returns up to 10,000 lines, from up to 20,000 events. */
const MAX_PARTS = 100;

/** Downloads texts as one file. */
export function save(name, type, texts) {
  const url = URL.createObjectURL(new Blob(texts, { type }));
  const link = h("a", { download: name });
  // Not with `h`, which allows only links to views and the API.
  link.href = url;
  link.click();
  URL.revokeObjectURL(url);
}

/** A link that downloads CSV in sequential requests and saves it as one file. During the download, it stops it. */
export function csvLink(label, name, { href, signal }) {
  const status = h("span", { class: "muted", role: "status" });
  let running = null;
  const link = h("a", { class: "button", href, download: name, onclick: (event) => {
    event.preventDefault();
    if (running) running.abort();
    else fetchAll();
  } }, label);

  async function fetchAll() {
    running = new AbortController();
    const combined = AbortSignal.any([running.signal, signal]);
    fill(link, "Stop the download");
    const texts = [];
    let lines = -1;
    try {
      let next = link.getAttribute("href");
      let part;
      do {
        part = await getPart(next, { signal: combined });
        texts.push(part.text);
        lines += (part.text.match(/\n/g) ?? []).length;
        next = part.next;
        fill(status, ` ${plural(lines, "line")} so far…`);
      } while (next && texts.length < MAX_PARTS);
      save(name, "text/csv;charset=utf-8", texts);
      fill(status, part.truncated ? ` ${number(lines)} lines, the newest first; there are more events than this file contains.` : "");
    } catch (error) {
      if (!signal.aborted) fill(status, combined.aborted ? " Stopped." : ` ${error.message}`);
    } finally {
      running = null;
      fill(link, label);
    }
  }

  return { link, status };
}
