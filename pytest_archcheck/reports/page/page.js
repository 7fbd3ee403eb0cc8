"use strict";

/* What both views share, the filter of the tests, the theme, and which view the address asks for. */

/** An element. Children that are strings become text: no name in the data is ever read as markup. */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const exact = new Intl.NumberFormat("en-US");

function number(value) {
  return exact.format(value);
}

/** 4089184256 as "4.09 G"; empty below a thousand, where it says no more than the number itself. */
function short(value) {
  const units = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "K"]];
  const found = units.find(([size]) => value >= size);
  return found ? `${(value / found[0]).toPrecision(3)} ${found[1]}` : "";
}

function percent(part, whole) {
  if (!whole || !part) return "";
  const share = (100 * part) / whole;
  return share < 0.05 ? "<0.1 %" : `${share.toFixed(1)} %`;
}

/** The data of a model: what = "model" or "graph". */
function read(what, key) {
  const elements = document.querySelectorAll(`script[data-${what}]`);
  const found = [...elements].find((element) => element.dataset[what] === key);
  return found ? JSON.parse(found.textContent) : null;
}

function address(key, section = "") {
  return `#model-${encodeURIComponent(key)}${section && `/${section}`}`;
}

/* Theme: the system's until someone chooses; a page opened from a file may have no storage. */

const root = document.documentElement;
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");

function storedTheme() {
  try {
    return localStorage.getItem("archcheck-theme");
  } catch {
    return null;
  }
}

function showTheme(theme) {
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
  themeButton.textContent = dark ? "Light theme" : "Dark theme";
}

themeButton.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
  const theme = dark ? "light" : "dark";
  showTheme(theme);
  try {
    localStorage.setItem("archcheck-theme", theme);
  } catch {
    /* it holds for this visit */
  }
});
systemDark.addEventListener("change", () => showTheme(null));
showTheme(storedTheme());
themeButton.hidden = false;

/* The filter of the tests. */

const filter = document.getElementById("filter");
const find = document.getElementById("find");
const tests = [...document.querySelectorAll("#tests .test")].map((element) => ({
  element,
  states: element.dataset.states.split(" "),
  text: element.textContent.toLowerCase(),
}));

function filterTests() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const state = new FormData(filter).get("state");
  let shown = 0;
  for (const test of tests) {
    const fits = (!state || test.states.includes(state)) && words.every((word) => test.text.includes(word));
    test.element.hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent =
    shown === tests.length ? `${number(shown)} tests` : `${number(shown)} of ${number(tests.length)} tests`;
}

for (const radio of filter.elements.state) {
  const number = tests.filter((test) => !radio.value || test.states.includes(radio.value)).length;
  radio.disabled = number === 0 && radio.value !== "";
  radio.parentElement.append(` ${number}`);
}
filter.addEventListener("input", filterTests);
filter.addEventListener("submit", (event) => event.preventDefault());
find.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  find.value = "";
  filterTests();
});
filter.reset();
filter.hidden = false;
filterTests();

/* Views. */

const overview = document.getElementById("overview");
const model = document.getElementById("model");
let opened = null;

/** The model and section that the address names; null where it names none that is here. */
function asked() {
  const match = /^#model-([^/]*)(?:\/(\w+))?$/.exec(location.hash);
  if (!match) return null;
  try {
    return { key: decodeURIComponent(match[1]), section: match[2] };
  } catch {
    return null;
  }
}

function showView() {
  const wanted = asked();
  const data = wanted && wanted.key !== opened ? read("model", wanted.key) : null;
  if (data) model.replaceChildren(...modelView(wanted.key, data));
  const isModel = data !== null || (wanted !== null && wanted.key === opened);
  const was = opened;
  opened = isModel ? wanted.key : null;
  overview.hidden = isModel;
  model.hidden = !isModel;
  if (isModel) {
    const title = document.getElementById("model-title");
    const target = wanted.section ? document.getElementById(wanted.section) : title;
    document.title = `${title.textContent} · Architecture report`;
    if (!wanted.section) scrollTo(0, 0);
    target?.focus();
    return;
  }
  document.title = "Architecture report";
  model.replaceChildren();
  if (was === null) return;
  const link = [...document.querySelectorAll("#tests th a")].find((each) => decodeURIComponent(each.hash) === `#model-${was}`);
  link?.focus();
}

addEventListener("hashchange", showView);
addEventListener("DOMContentLoaded", showView);

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address keeps the view
  document.getElementById("main").focus();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  (opened === null ? find : document.getElementById("search")).focus();
});

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
