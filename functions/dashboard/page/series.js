// The series of a chart: which statuses have a line, and on which axis. Pure functions.

import { STATUSES, inOrder } from "./status.js";

/** Maximum lines of the charts: the most frequent statuses, and one line for all others. */
const MAX_LINES = 10;
/** A status whose highest point is below this share of the axis has a chart with a separate axis. */
const FLAT = 0.08;

/** The series of the most frequent statuses, and the sum of all others as `other`. */
export function mostFrequent(series, words, totals) {
  const total = new Map(words.map((word, index) => [word, totals[index]]));
  const kept = words.length <= MAX_LINES ? words : words.filter((word) => word !== "other").sort((a, b) => total.get(b) - total.get(a)).slice(0, MAX_LINES - 1);
  const drawn = Object.fromEntries(inOrder([...kept]).map((word) => [word, series[word]]));
  for (const word of words.filter((one) => !kept.includes(one))) {
    drawn.other = series[word].map((count, index) => count + (drawn.other?.[index] ?? 0));
  }
  return drawn;
}

/** Two groups of series: those that an axis for the highest shows, and those that would be flat on it. */
export function byHeight(series) {
  const heights = Object.entries(series).map(([word, counts]) => [word, Math.max(...counts)]);
  const top = Math.max(0, ...heights.map(([, height]) => height));
  const isFlat = ([word, height]) => height < top * FLAT && Object.hasOwn(STATUSES, word);
  const group = (wanted) => Object.fromEntries(heights.filter((entry) => isFlat(entry) === wanted).map(([word]) => [word, series[word]]));
  return [group(false), group(true)];
}
