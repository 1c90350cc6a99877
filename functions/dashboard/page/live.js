// Events as they arrive. Polls every few seconds while the page is visible. New events do not move
// the list while the user interacts with it.

import { address, get, latest, now } from "./api.js";
import { fill, h } from "./dom.js";
import { row } from "./events.js";
import { csvLink } from "./files.js";
import { dayPlus, dayText, plural } from "./format.js";
import { empty, failed, howToStart, loading } from "./states.js";
import { CHANNELS, ORDER, STATUSES, channelName } from "./status.js";
import { keyOf } from "./story.js";

const EVERY_MS = 4000;
const SLOWEST_MS = 60_000;
const PAGE = 100;
/** With a filter, an empty page may not be the last one. */
const PAGES_AT_START = 10;
const PAGES_LATER = 3;
/** Time after midnight UTC in which the previous day is also polled, for events that arrive late. */
const AFTER_MIDNIGHT_MS = 10 * 60_000;
const MAX_ROWS = 500;
const DAY_MS = 86_400_000;

export const title = () => "Live";

/** The UTC days to poll: today, and shortly after midnight also yesterday. */
export function daysToAsk(time, started) {
  const today = dayText(time);
  return started && time % DAY_MS < AFTER_MIDNIGHT_MS ? [today, dayPlus(today, -1)] : [today];
}

export function mount({ main, signal, go, announce }) {
  let run = null;
  let filters = { channel: "", status: "" };
  let shown = new Map();
  let pending = new Map();
  let day = null;
  let paused = false;
  let started = false;
  let timer = null;
  let failures = 0;

  const pause = h("button", { type: "button", id: "pause", onclick: () => { paused = !paused; showState(); paused ? stop() : poll(); } });
  const choice = (name, label, values, text) => {
    const select = h("select", { id: name }, h("option", { value: "" }, "All"), values.map((value) => h("option", { value }, text(value))));
    select.addEventListener("change", () => go("live", { ...filters, [name]: select.value }));
    return { select, field: h("div", { class: "field" }, h("label", { for: name }, label), select) };
  };
  const channel = choice("channel", "Channel", CHANNELS, channelName);
  const state = choice("status", "Status", ORDER, (word) => STATUSES[word].label);
  const csv = csvLink("Download today as CSV", "events.csv", { href: "#/live", signal });
  const bar = h("p", { class: "live-bar" });
  const arrived = h("button", { type: "button", class: "show-new", onclick: showPending });
  const list = h("ol", { class: "events", "aria-label": "Events, the newest first" });
  const place = h("div", { class: "results" });

  fill(
    main,
    h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Live"), h("p", { class: "subtitle" }, "Events of this UTC day, by the time they happened.")),
    h("form", { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() }, channel.field, state.field, pause, csv.link, csv.status),
    bar,
    place,
  );

  const hidden = () => document.visibilityState === "hidden";
  document.addEventListener("visibilitychange", () => { showState(); hidden() ? stop() : poll(); }, { signal });
  signal.addEventListener("abort", stop);

  function showState(problem) {
    fill(pause, paused ? "Continue" : "Pause");
    arrived.textContent = `Show ${plural(pending.size, "new event")}`;
    const label = problem ?? (paused ? "Paused." : hidden() ? "Paused while hidden." : started ? "Updates automatically." : "Starting…");
    bar.className = `live-bar ${problem ? "is-failed" : paused ? "is-paused" : "is-on"}`;
    fill(bar, h("span", { class: "live-state" }, label), pending.size > 0 && arrived);
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
  }

  /** All new events of a day: reads pages until one contains a known event. */
  async function newEvents(of, inner) {
    const found = [];
    let cursor = null;
    const pages = started ? PAGES_LATER : PAGES_AT_START;
    for (let turn = 0; turn < pages; turn += 1) {
      const answer = await get("api/events", { day: of, ...filters, limit: PAGE, cursor }, { signal: inner });
      const fresh = answer.events.filter((event) => !shown.has(keyOf(event)) && !pending.has(keyOf(event)));
      found.push(...fresh);
      cursor = answer.cursor;
      if (cursor === null || fresh.length < answer.events.length || (!started && found.length >= PAGE)) break;
    }
    return found;
  }

  async function poll() {
    stop();
    if (paused || hidden() || signal.aborted) return;
    try {
      const time = now();
      day = dayText(time);
      csv.link.setAttribute("href", address("api/events", { day, ...filters, format: "csv" }));
      const fresh = await run(async (inner) => (await Promise.all(daysToAsk(time, started).map((one) => newEvents(one, inner)))).flat());
      if (!fresh) return;
      failures = 0;
      add(fresh);
      started = true;
      showState();
    } catch (error) {
      failures += 1;
      if (!started) {
        fill(place, failed(error, () => { fill(place, loading("events")); poll(); }));
      }
      showState(`${error.message} Trying again in ${Math.round(pauseFor() / 1000)} s.`);
    }
    if (!paused && !hidden() && !signal.aborted) {
      stop();
      timer = setTimeout(poll, pauseFor());
    }
  }

  const pauseFor = () => Math.min(SLOWEST_MS, EVERY_MS * 2 ** failures);

  /** Whether the user reads, points at or focuses the list. It must not change then. */
  function inUse() {
    if (!list.isConnected || !list.childElementCount) return false;
    const selection = document.getSelection();
    return (
      list.matches(":hover") ||
      list.contains(document.activeElement) ||
      list.getBoundingClientRect().top < 0 ||
      list.querySelector("details[open]") !== null ||
      (selection && !selection.isCollapsed && list.contains(selection.anchorNode))
    );
  }

  function add(fresh) {
    for (const event of fresh) pending.set(keyOf(event), event);
    if (!started) {
      showPending();
      return;
    }
    if (!fresh.length) return;
    announce(`${plural(fresh.length, "new event")}.`);
    if (!inUse()) showPending();
  }

  /** Shows the pending events, sorted by time. */
  function showPending() {
    const had = document.activeElement === arrived;
    const fresh = [...pending.values()].sort((a, b) => a.event_time - b.event_time);
    for (const event of fresh) {
      const item = row(event);
      if (started) item.classList.add("is-new");
      const next = [...list.children].find((other) => shown.get(other.dataset.key).event_time <= event.event_time);
      list.insertBefore(item, next ?? null);
      shown.set(keyOf(event), event);
    }
    pending = new Map();
    while (list.childElementCount > MAX_ROWS) list.lastElementChild.remove();
    if (shown.size && !list.isConnected) fill(place, list);
    if (!shown.size) {
      const filtered = filters.channel || filters.status;
      fill(place, empty(filtered ? "No events match these filters yet" : "No events today yet", h("p", null, `Today is ${day} in UTC. New events appear here.`), !filtered && howToStart()));
    }
    showState();
    if (had) {
      window.scrollTo({ top: 0 });
      list.firstElementChild?.querySelector("a, summary")?.focus();
    }
  }

  return {
    update(parameters) {
      filters = { channel: parameters.channel ?? "", status: parameters.status ?? "" };
      channel.select.value = filters.channel;
      state.select.value = filters.status;
      shown = new Map();
      pending = new Map();
      started = false;
      failures = 0;
      run = latest(signal);
      fill(list);
      fill(place, loading("events"));
      showState();
      poll();
    },
  };
}
