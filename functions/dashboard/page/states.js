// Placeholders: loading, empty, failed.

import { h, fill } from "./dom.js";

export const loading = (what) => h("p", { class: "loading", role: "status" }, `Loading ${what}…`);

export const empty = (title, ...more) => h("div", { class: "empty" }, h("h2", null, title), more);

/** Instructions to receive the first events. */
export function howToStart() {
  return [
    h("p", null, "To receive events:"),
    h(
      "ol",
      null,
      h("li", null, "In Netcore’s settings, enter the function’s URL as the webhook and add the custom header that the function expects. The outputs of the deployment name both."),
      h("li", null, "On your machine, start the local receiver and run ", h("code", null, "netcore-webhooks simulate"), "."),
    ),
  ];
}

/** An error message, with a button to retry. */
export const failed = (error, retry) =>
  h(
    "div",
    { class: "failed", role: "alert" },
    h("p", null, h("strong", null, "Something went wrong. "), error.message),
    retry && h("button", { type: "button", onclick: retry }, "Try again"),
  );

/** Loads content into an element. Shows a loading message if the element is empty, and an error with a retry button. */
export async function into(place, what, run, load, show) {
  if (!place.childElementCount || place.querySelector(".failed, .loading")) fill(place, loading(what));
  place.setAttribute("aria-busy", "true");
  const again = () => into(place, what, run, load, show);
  try {
    const answer = await run(load);
    if (answer === undefined) return false;
    place.removeAttribute("aria-busy");
    show(answer);
    return true;
  } catch (error) {
    place.removeAttribute("aria-busy");
    fill(place, failed(error, again));
    return false;
  }
}
