// The languages of answers for customers. The first is used if the browser asks for none of them.

import * as en from "./en.js";

const LANGUAGES = [en];

/** The texts of the first language that the user prefers and that exists. */
export const texts = (preferred = navigator.languages ?? []) =>
  preferred.map((tag) => LANGUAGES.find(({ language }) => language === tag.toLowerCase().split("-")[0])).find(Boolean) ?? LANGUAGES[0];
