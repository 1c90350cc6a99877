// The sign-in form.

import { ApiError, post } from "./api.js";
import { fill, h } from "./dom.js";
import { plural } from "./format.js";

export function show({ main, done }) {
  const password = h("input", { id: "password", type: "password", name: "password", autocomplete: "current-password", required: true, "aria-describedby": "sign-in-error" });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const message = h("p", { id: "sign-in-error", role: "alert", class: "form-error" });
  const form = h(
    "form",
    { class: "panel sign-in" },
    h("h1", { tabindex: "-1" }, "Sign in"),
    h("p", null, "This dashboard shows personal data. Enter the password for your role."),
    h("div", { class: "field" }, h("label", { for: "password" }, "Password"), password),
    message,
    h("p", { class: "tools" }, button),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    fill(message);
    try {
      done(await post("api/session", { password: password.value }));
    } catch (error) {
      const after = error instanceof ApiError && error.status === 429 && error.retryAfter;
      fill(message, after ? `Too many attempts. Wait ${plural(after, "second")} and try again.` : error.message);
      password.select();
      password.focus();
    } finally {
      button.disabled = false;
    }
  });
  fill(main, form);
  password.focus();
}
