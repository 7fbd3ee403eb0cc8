/* The view of one model. */

const LINES = 400;

function modelView(key, data) {
  data.numbers.depth = data.depths.find((each) => each.convention === "paper").depth;
  const table = layerTable(data);
  const graph = read("graph", key);
  const sections = [
    data.drifts.length ? ["changes", "What changed", data.drifts.flatMap(driftView)] : null,
    ["costs", data.numbers.stages.length ? "Cost by stage" : "Cost by part", [costView(data)]],
    ["layers", "Layers", [...table.elements, unusedView(data.unused)]],
    ["depth", "Depth", depthView(data, table)],
    ["graph", "Graph", graphView(graph)],
  ].filter(Boolean);
  const links = sections.map(([id, title]) => h("li", {}, h("a", { href: address(key, id) }, title)));
  return [
    h("p", { class: "back" }, h("a", { href: "#" }, "← All tests")),
    h("h1", { id: "model-title", tabindex: "-1" }, data.type.split(".").at(-1)),
    h("p", { class: "subtitle" }, h("code", {}, data.type), ` · ${data.mode} · `, h("code", {}, data.inputs.join(", ") || "no inputs"),
      " → ", h("code", {}, data.outputs.join(", "))),
    testsView(data.tests),
    numbersView(data.numbers),
    h("nav", { "aria-label": "Sections" }, h("ul", {}, ...links)),
    ...sections.map(([id, title, content]) => h("section", { class: "part", "aria-labelledby": id },
      h("h2", { id, tabindex: "-1" }, title), ...content.filter(Boolean))),
  ];
}

function testsView(tests) {
  const kinds = { passed: "good", failed: "bad", error: "bad" };
  return h("ul", { class: "checked", "aria-label": "Tests of this model" }, ...tests.map((each) => h("li", {},
    h("span", { class: `badge ${kinds[each.outcome] ?? "plain"}` }, each.outcome), " ", each.test,
    each.placement ? h("span", { class: "quiet" }, ` on ${each.placement}`) : "",
    ...each.notes.map((note) => h("span", { class: "quiet" }, ` · ${note}`)))));
}

function numbersView(numbers) {
  const trainable = numbers.trainable === numbers.params ? "all trainable" : `trainable ${number(numbers.trainable)}`;
  const partial = numbers.status === "complete" ? "" : numbers.status;
  const cards = [
    ["Depth (paper)", number(numbers.depth), `${numbers.stages.length ? `stages of ${numbers.stages.join(", ")} blocks` : "no repeated blocks"}`],
    ["Parameters", number(numbers.params), [short(numbers.params), trainable].filter(Boolean).join(" · ")],
    ["MACs", number(numbers.macs), partial || short(numbers.macs)],
    ["FLOPs = 2 × MACs", number(numbers.flops), partial ? "partial" : short(numbers.flops)],
    ["Size", `${(numbers.bytes / 2 ** 20).toFixed(2)} MiB`, `${number(numbers.bytes)} bytes of saved state`],
    ["Calls", number(numbers.layers + numbers.ops), `${number(numbers.layers)} of layers, ${number(numbers.ops)} of functions`],
  ];
  return h("dl", { class: "numbers" }, ...cards.map(([title, value, hint]) => h("div", { class: hint === partial && partial ? "warn" : null },
    h("dt", {}, title), h("dd", { class: "value" }, value), h("dd", { class: "quiet" }, hint))));
}

/* Costs. */

function bar(part, whole, kind) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  const rectangle = document.createElementNS(space, "rect");
  const size = { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: `bar ${kind}`, "aria-hidden": "true" };
  for (const [key, value] of Object.entries(size)) picture.setAttribute(key, value);
  for (const [key, value] of Object.entries({ width: whole ? (100 * part) / whole : 0, height: 10 })) rectangle.setAttribute(key, value);
  picture.append(rectangle);
  return picture;
}

function costView(data) {
  const { macs, params } = data.numbers;
  const longest = (at) => Math.max(...data.shares.map((share) => share[at]));
  const cells = (value, whole, most, kind) => [
    h("td", { class: "number" }, number(value)),
    h("td", { class: "number" }, percent(value, whole) || "0 %"),
    h("td", { class: "bars" }, bar(value, most, kind)),
  ];
  const rows = data.shares.map(([part, partMacs, partParams]) => h("tr", {}, h("th", { scope: "row" }, part),
    ...cells(partMacs, macs, longest(1), "macs"), ...cells(partParams, params, longest(2), "params")));
  const head = ["Part", "MACs", "", "", "Parameters", "", ""].map((title, at) => title || at === 0
    ? h("th", { scope: "col", class: at ? "number" : null, colspan: null }, title) : h("td"));
  return h("div", { class: "box" }, h("table", { class: "costs" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows),
    h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "Total"), h("td", { class: "number" }, number(macs)), h("td"), h("td"),
      h("td", { class: "number" }, number(params)), h("td"), h("td")))));
}

function unusedView(unused) {
  if (!unused.length) return null;
  const told = unused.slice(0, 50).map(([name, type, params]) => `${name} (${type}, ${number(params)} parameters)`);
  const rest = unused.length > 50 ? ` and ${number(unused.length - 50)} more` : "";
  return h("p", {}, `Never called: ${told.join(", ")}${rest}`);
}

/* Depth. */

function depthView(data, table) {
  const conventions = data.depths.map((each) => h("tr", {}, h("th", { scope: "row" }, each.convention),
    h("td", { class: "number" }, each.depth === null ? "–" : number(each.depth)), h("td", {}, each.rule)));
  const link = (name) => (table.knows(name) ? h("button", { type: "button", class: "link", onclick: () => table.reveal(name) }, name) : h("code", {}, name));
  const named = (names) => h("ul", { class: "names" }, ...names.map(([name, weight]) => h("li", {}, link(name), weight > 1 ? ` ×${weight}` : "")));
  const counted = data.counted.map(([part, layers]) => h("details", {},
    h("summary", {}, `${part}: ${number(layers.reduce((sum, [, weight]) => sum + weight, 0))}`), named(layers)));
  const leftOut = data.leftOut.map(([reason, names]) => h("details", {},
    h("summary", {}, `${number(names.length)}: ${reason}`), named(names.map((name) => [name, 1]))));
  return [
    h("div", { class: "box" }, h("table", { class: "conventions" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Convention"),
      h("th", { scope: "col", class: "number" }, "Depth"), h("th", { scope: "col" }, "Counts"))), h("tbody", {}, ...conventions))),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, `Counted under paper: ${number(data.numbers.depth)}`), ...counted),
      h("div", {}, h("h3", {}, `Left out: ${number(data.leftOut.reduce((sum, [, names]) => sum + names.length, 0))}`),
        ...(leftOut.length ? leftOut : [h("p", { class: "quiet" }, "nothing")]))),
  ];
}

/* Graph. */

function graphView(text) {
  if (text === null) {
    return [h("p", {}, "The graph is not drawn, because Graphviz is not installed here: ",
      h("code", {}, 'pip install "pytest-archcheck[graph]"'), " where the tests run, and make the report again.")];
  }
  const drawing = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (drawing.localName !== "svg") return [h("p", {}, "The graph could not be read.")];
  const box = h("div", { class: "box drawing fit", role: "region", "aria-label": "Graph of the model", tabindex: "0" }, document.importNode(drawing, true));
  const fit = h("input", { type: "checkbox", checked: true, onchange: () => box.classList.toggle("fit", fit.checked) });
  return [h("label", { class: "tools" }, fit, " Fit the width"), box];
}

/* Drift. */

function driftView(drift) {
  const parts = [h("h3", {}, drift.name), h("p", { class: "verdict" }, drift.verdict)];
  if (!drift.lines) return parts;
  const kinds = { breaking: "bad", behaviour: "bad", training: "warn", cost: "warn", cosmetic: "plain" };
  const causes = drift.causes.map(([severity, text]) => h("li", {}, h("span", { class: `badge ${kinds[severity]}` }, severity), " ", text));
  const totals = drift.totals.map(([label, before, after]) => h("tr", { class: before === after ? "same" : "changed" },
    h("th", { scope: "row" }, label), h("td", { class: "number" }, before), h("td", { class: "number" }, after)));
  return [...parts,
    h("ul", { class: "causes", "aria-label": "Causes" }, ...causes),
    drift.effects.length ? h("details", {}, h("summary", {}, `What follows from it: ${number(drift.effects.length)}`),
      h("ul", { class: "effects" }, ...drift.effects.map((text) => h("li", {}, text)))) : null,
    ...drift.notCompared.map((text) => h("p", { class: "quiet" }, text)),
    h("div", { class: "box" }, h("table", { class: "totals" }, h("thead", {}, h("tr", {}, h("td"),
      h("th", { scope: "col", class: "number" }, "Before"), h("th", { scope: "col", class: "number" }, "After"))), h("tbody", {}, ...totals))),
    linesView(drift.lines)];
}

/** The changed lines, before on the left and after on the right, as many as fit and the rest on demand. */
function linesView(lines) {
  const body = h("tbody");
  const more = h("button", { type: "button", onclick: () => extend() });
  let drawn = 0;
  function extend() {
    body.append(...lines.slice(drawn, drawn + LINES).map(lineRow));
    drawn = Math.min(drawn + LINES, lines.length);
    more.hidden = drawn === lines.length;
    more.textContent = `Show more: ${number(lines.length - drawn)} lines`;
  }
  extend();
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col", colspan: "2" }, "Before"), h("th", { scope: "col", colspan: "2" }, "After")));
  const columns = h("colgroup", {}, ...["place", "", "place", ""].map((kind) => h("col", { class: kind || null })));
  return h("div", {}, h("div", { class: "box", role: "region", "aria-label": "Lines before and after", tabindex: "0" },
    h("table", { class: "lines" }, columns, head, body)), more);
}

function lineRow(line) {
  if (typeof line === "number") {
    return h("tr", { class: "gap" }, h("td", { colspan: "4" }, `${number(line)} equal ${line === 1 ? "line" : "lines"}`));
  }
  const [oldNumber, before, newNumber, after] = line;
  const same = before === after;
  const [left, right] = same || before === null || after === null ? [[before], [after]] : marked(before, after);
  return h("tr", {},
    h("td", { class: "place" }, oldNumber === null ? "" : String(oldNumber)), h("td", { class: same ? "" : before === null ? "none" : "old" }, ...left),
    h("td", { class: "place" }, newNumber === null ? "" : String(newNumber)), h("td", { class: same ? "" : after === null ? "none" : "new" }, ...right));
}

/** Two lines with the words marked that only one of them has: those off their longest common sequence. */
function marked(before, after) {
  const [left, right] = [before, after].map((text) => text.split(/(?<=[\s(),=])/));
  const longest = Array.from({ length: left.length + 1 }, () => new Array(right.length + 1).fill(0));
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      longest[i][j] = left[i] === right[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const shown = [[], []];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      shown[0].push(left[i++]);
      shown[1].push(right[j++]);
    } else if (j === right.length || (i < left.length && longest[i + 1][j] >= longest[i][j + 1])) {
      shown[0].push(h("mark", {}, left[i++]));
    } else {
      shown[1].push(h("mark", {}, right[j++]));
    }
  }
  return shown;
}
