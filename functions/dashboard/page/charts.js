// Draws the line chart with a chart library, which is loaded for the first chart. Callers also show the
// data as a text and as a table.

import { h, plain, svg } from "./dom.js";
import { number } from "./format.js";
import { inOrder, status, tone } from "./status.js";

let library = null;

function load() {
  // The published build sets a global. Importing it loads it once, under the page's security policy.
  library ??= import("./vendor/chart.umd.min.js").then(() => globalThis.Chart).catch((error) => {
    library = null;
    throw error;
  });
  return library;
}

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function themeColors(words) {
  const probe = h("span", { class: "visually-hidden" });
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
 * Lines over time, one for each status. Each can be hidden.
 * `series` maps a status to its numbers; `labels` and `titles` are the short and long names of the points.
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
    const colors = themeColors(words);
    chart.data.datasets.forEach((set, index) => {
      const color = colors.lines[words[index]];
      Object.assign(set, { borderColor: color, backgroundColor: colors.card, pointBorderColor: color, pointBorderWidth: 2 });
    });
    for (const axis of Object.values(chart.options.scales)) {
      axis.ticks.color = colors.ink;
      axis.ticks.font = { family, size: 12 };
      axis.grid = { color: colors.grid };
      axis.border = { color: colors.grid };
    }
    Object.assign(chart.options.plugins.tooltip, {
      backgroundColor: colors.card, titleColor: colors.text, bodyColor: colors.text, borderColor: colors.ink, borderWidth: 1,
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
            class: `legend-item ${tone(word)}`,
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

/** A sample of the line for the legend. */
function sample(word) {
  const { dash, point } = status(word);
  return svg(
    "svg",
    { viewBox: "0 0 24 12", width: "24", height: "12", "aria-hidden": "true", focusable: "false", class: "sample" },
    svg("path", { d: "M0 6h24", "stroke-dasharray": dash.join(" ") }),
    svg("path", { d: MARKS[point], class: "mark" }),
  );
}
