// Draws the one chart that needs a chart library: lines over time. The library is fetched when the
// first chart is drawn; what is drawn is also said in words and shown as a table by the caller.

import { h, plain, svg } from "./dom.js";
import { number } from "./format.js";
import { inOrder, status, tone } from "./status.js";

let library = null;

function load() {
  // The published build sets a global; as a module it is fetched once and under the page's policy.
  library ??= import("./vendor/chart.umd.min.js").then(() => globalThis.Chart).catch((error) => {
    library = null;
    throw error;
  });
  return library;
}

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function colours(words) {
  const probe = h("span", { class: "hidden" });
  document.body.append(probe);
  const of = (className, name) => {
    probe.className = `hidden ${className}`;
    return getComputedStyle(probe).getPropertyValue(name).trim();
  };
  const found = {
    ink: of("", "--muted"),
    grid: of("", "--line"),
    card: of("", "--card"),
    text: of("", "--ink"),
    lines: Object.fromEntries(words.map((word) => [word, of(tone(word), "--s")])),
  };
  probe.remove();
  return found;
}

/**
 * Lines over time, one for each status, that can be switched off one by one.
 * `series` maps a status to its numbers; `labels` name the points, `titles` name them fully.
 */
export async function lines({ series, labels, titles, summary, signal }) {
  const Chart = await load();
  signal.throwIfAborted();
  const words = inOrder(Object.keys(series));
  const canvas = h("canvas", { role: "img", "aria-label": summary });
  const box = h("div", { class: "canvas" }, canvas);
  const family = getComputedStyle(document.body).fontFamily;
  const few = labels.length <= 45;

  const chart = new Chart(canvas, {
    type: "line",
    data: {
      labels,
      datasets: words.map((word) => ({
        label: plain(status(word).label, 40),
        data: series[word],
        borderWidth: 2,
        borderDash: status(word).dash,
        pointStyle: status(word).point,
        pointRadius: few ? 4 : 0,
        pointHoverRadius: 6,
        tension: 0,
      })),
    },
    options: {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      interaction: { mode: "index", intersect: false },
      plugins: {
        legend: { display: false },
        tooltip: {
          usePointStyle: true,
          callbacks: {
            title: (items) => titles[items[0]?.dataIndex] ?? "",
            label: (item) => ` ${item.dataset.label}: ${number(item.parsed.y)}`,
          },
        },
      },
      scales: {
        x: { ticks: { maxRotation: 0, autoSkipPadding: 16 } },
        y: { beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 6 } },
      },
    },
  });

  const paint = () => {
    const seen = colours(words);
    chart.data.datasets.forEach((set, index) => {
      const colour = seen.lines[words[index]];
      Object.assign(set, { borderColor: colour, backgroundColor: seen.card, pointBorderColor: colour, pointBorderWidth: 2 });
    });
    for (const axis of Object.values(chart.options.scales)) {
      axis.ticks.color = seen.ink;
      axis.ticks.font = { family, size: 12 };
      axis.grid = { color: seen.grid };
      axis.border = { color: seen.grid };
    }
    Object.assign(chart.options.plugins.tooltip, {
      backgroundColor: seen.card, titleColor: seen.text, bodyColor: seen.text, borderColor: seen.ink, borderWidth: 1,
      titleFont: { family }, bodyFont: { family }, padding: 10, boxPadding: 4,
    });
    chart.update("none");
  };
  paint();
  dark.addEventListener("change", paint, { signal });
  signal.addEventListener("abort", () => chart.destroy(), { once: true });

  const legend = h(
    "ul",
    { class: "legend", "aria-label": "Lines of the chart" },
    words.map((word, index) =>
      h(
        "li",
        null,
        h(
          "button",
          {
            type: "button",
            class: `key ${tone(word)}`,
            "aria-pressed": "true",
            onclick: (event) => {
              const on = !chart.isDatasetVisible(index);
              chart.setDatasetVisibility(index, on);
              chart.update("none");
              event.currentTarget.setAttribute("aria-pressed", String(on));
            },
          },
          sample(word),
          plain(status(word).label, 40),
        ),
      ),
    ),
  );
  return [legend, box];
}

const MARKS = {
  circle: "M12 2.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7",
  rect: "M9 3h6v6H9z",
  rectRounded: "M10 3h4a1 1 0 0 1 1 1v4a1 1 0 0 1-1 1h-4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1",
  rectRot: "M12 2l4 4-4 4-4-4z",
  triangle: "M12 2l4 7H8z",
  star: "M12 2v8M8.5 4l7 4M15.5 4l-7 4",
  crossRot: "M9 3l6 6M15 3 9 9",
  cross: "M12 2v8M8 6h8",
  dash: "M12 6h4",
};

/** A piece of the line as the chart draws it. */
function sample(word) {
  const { dash, point } = status(word);
  return svg(
    "svg",
    { viewBox: "0 0 24 12", width: "24", height: "12", "aria-hidden": "true", focusable: "false", class: "sample" },
    svg("path", { d: "M0 6h24", "stroke-dasharray": dash.join(" ") }),
    svg("path", { d: MARKS[point], class: "mark" }),
  );
}
