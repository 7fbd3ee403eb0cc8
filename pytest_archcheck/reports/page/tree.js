/* The layers of a model as a table that opens like a tree. Only rows that are seen are in the document. */

const STEP = 200;
const OPEN_AT_FIRST = 40;
const WIDTHS = ["wide", "middle", "rest", "shapes", "shapes", "narrow", "figure", "large", "narrow"];

/** Units as objects: `row` is what stands for a unit in the tree, itself or the run that it is folded into. */
function unitsOf(data) {
  return data.units.map((unit, index) => {
    const [name, type, config, inputs, outputs, depth, params, macs, uncounted, verdict, rows] = unit;
    const texts = [type, config, inputs, outputs].map((place) => data.texts[place]);
    return {
      key: `u${index}`, name, label: name, type: texts[0], config: texts[1], inputs: texts[2], outputs: texts[3],
      depth, params, macs, uncounted, verdict, rows, times: 1, above: null,
    };
  });
}

/** The rows of a level; a run of alike units is a row with their sums, and opens to each of them. */
function linked(rows, units, above) {
  return rows.map((row) => {
    if (typeof row === "number") {
      units[row].above = above;
      return units[row];
    }
    const [label, members] = row;
    const alike = members.map((index) => units[index]);
    const sum = (figure) => alike.reduce((total, unit) => total + unit[figure], 0);
    const run = {
      ...alike[0], key: `r${members[0]}`, label, times: alike.length, above, children: alike,
      depth: sum("depth"), params: sum("params"), macs: sum("macs"), uncounted: sum("uncounted"),
    };
    for (const unit of alike) unit.above = run;
    return run;
  });
}

function layerTable(data) {
  const units = unitsOf(data);
  const top = linked(data.top, units, null);
  for (const unit of units) unit.children = linked(unit.rows, units, unit);
  const words = units.map((unit) => `${unit.name} ${unit.type} ${unit.config} ${unit.outputs}`.toLowerCase());
  const total = data.numbers.macs;
  const open = new Set();
  let rows = [];
  let shown = new Map();
  let active = null;
  let limit = STEP;

  const body = h("tbody", { onkeydown: pressed, onclick: clicked, onfocusin: focused });
  const status = h("p", { role: "status" });
  const more = h("button", { type: "button", onclick: () => extend(true) });
  const search = h("input", {
    id: "search", type: "search", autocomplete: "off", spellcheck: "false", "aria-keyshortcuts": "/",
    oninput: () => { limit = STEP; show(); }, onkeydown: searching,
  });

  /** Whole levels are open from the start as long as all fits on a screen or two. */
  function openAtFirst() {
    let level = top;
    let number = top.length;
    while (level.length) {
      const next = level.flatMap((row) => row.children);
      number += next.length;
      if (number > OPEN_AT_FIRST) return;
      for (const row of level) if (row.children.length) open.add(row.key);
      level = next;
    }
  }

  function everyRow() {
    const found = [];
    const waiting = top.map((row) => [row, 1]).reverse();
    while (waiting.length) {
      const [row, level] = waiting.pop();
      found.push({ row, level });
      if (!open.has(row.key)) continue;
      for (let at = row.children.length - 1; at >= 0; at -= 1) waiting.push([row.children[at], level + 1]);
    }
    return found;
  }

  function matches() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!wanted.length) return null;
    return units.filter((_, at) => wanted.every((word) => words[at].includes(word))).map((row) => ({ row, level: 1 }));
  }

  function show(focus = false) {
    const found = matches();
    rows = found ?? everyRow();
    const drawn = rows.slice(0, limit);
    if (!drawn.some(({ row }) => row === active)) active = null;
    shown = new Map(drawn.map(({ row, level }) => [row, tableRow(row, level, found !== null)]));
    if (active === null && drawn.length) shown.get(drawn[0].row).tabIndex = 0; // Tab comes to the first row
    body.replaceChildren(...shown.values());
    const first = drawn.length < rows.length ? `first ${number(drawn.length)} of ` : "";
    const all = `${first}${number(rows.length)}`;
    status.textContent = found ? `${all} matches; Enter shows one in the tree` : `${all} rows, ${number(units.length)} calls`;
    more.hidden = drawn.length === rows.length;
    more.textContent = `Show ${number(Math.min(STEP, rows.length - drawn.length))} more`;
    if (focus) focusRow(active);
  }

  function tableRow(row, level, flat) {
    const counted = typeof row.verdict === "number";
    const leftOut = typeof row.verdict === "string" ? row.verdict : null;
    const opens = row.children.length > 0 && !flat;
    const cut = row.label.includes(":") ? row.label.indexOf(":") : row.label.lastIndexOf(".") + 1;
    const name = [
      h("span", { class: "toggle", "aria-hidden": "true" }, opens ? "›" : ""),
      h("span", { class: "within" }, row.label.slice(0, cut)),
      h("span", { class: "own" }, row.label.slice(cut)),
      row.times > 1 && !flat ? h("span", { class: "times" }, ` ×${row.times}`) : "",
    ];
    const depth = counted
      ? [h("span", { class: "mark", title: "counted: on the longest path" }, "●"), h("span", { class: "unseen" }, "counted ")]
      : leftOut && [h("span", { class: "mark", title: `not counted: ${leftOut}` }, "○"), h("span", { class: "unseen" }, `not counted: ${leftOut}`)];
    const element = h("tr", {
      role: "row", class: counted ? "counted" : null, tabindex: row === active ? "0" : "-1", "aria-level": level,
      "aria-expanded": opens ? String(open.has(row.key)) : null, "aria-selected": String(row === active),
    },
    h("td", { role: "gridcell", class: "name", title: row.label }, h("div", {}, ...name)),
    h("td", { role: "gridcell", class: "cut" }, row.type),
    h("td", { role: "gridcell", class: "config cut" }, row.config),
    h("td", { role: "gridcell", class: "shape cut" }, row.inputs),
    h("td", { role: "gridcell", class: "shape cut" }, row.outputs),
    h("td", { role: "gridcell", class: "number" }, ...(depth || []), row.depth ? number(row.depth) : ""),
    h("td", { role: "gridcell", class: "number" }, row.params ? number(row.params) : ""),
    h("td", { role: "gridcell", class: "number" }, row.macs ? number(row.macs) : "",
      row.uncounted ? h("span", { class: "partial" }, row.macs ? "partial" : "not counted") : ""),
    h("td", { role: "gridcell", class: "number share" }, percent(row.macs, total)));
    element.style.setProperty("--level", level);
    element.lastChild.style.setProperty("--share", `${total ? (100 * row.macs) / total : 0}%`);
    return element;
  }

  function activate(row) {
    for (const [each, element] of shown) {
      element.tabIndex = each === row ? 0 : -1;
      element.setAttribute("aria-selected", String(each === row));
    }
    active = row;
  }

  function focusRow(row) {
    const element = shown.get(row);
    if (!element) return;
    activate(row);
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function toggle(row, wanted = !open.has(row.key)) {
    if (wanted) open.add(row.key);
    else open.delete(row.key);
    active = row;
    show(true);
  }

  function extend(focus) {
    const first = rows[limit]?.row;
    limit += STEP;
    if (focus && first) active = first;
    show(focus);
  }

  function rowAt(event) {
    const element = event.target.closest("tr");
    return [...shown].find(([, each]) => each === element)?.[0];
  }

  function clicked(event) {
    const row = rowAt(event);
    if (!row) return;
    if (event.target.closest(".name") && row.children.length && matches() === null) toggle(row);
    else activate(row);
  }

  function focused(event) {
    const row = rowAt(event);
    if (row && row !== active) activate(row);
  }

  function pressed(event) {
    const flat = matches() !== null;
    const place = rows.findIndex(({ row }) => row === active);
    const move = (to) => {
      if (to >= limit && to < rows.length) extend(false);
      if (rows[to]) focusRow(rows[to].row);
    };
    const opens = !flat && active?.children.length > 0;
    const keys = {
      ArrowDown: () => move(place + 1),
      ArrowUp: () => (place === 0 ? search.focus() : move(place - 1)),
      Home: () => move(0),
      End: () => move(Math.min(rows.length, limit) - 1),
      ArrowRight: () => opens && (open.has(active.key) ? move(place + 1) : toggle(active, true)),
      ArrowLeft: () => {
        if (opens && open.has(active.key)) toggle(active, false);
        else if (!flat && active?.above) focusRow(active.above);
      },
      Enter: () => (flat ? reveal(active) : opens && toggle(active)),
      Escape: () => flat && clear(),
    };
    if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  function searching(event) {
    if (event.key === "Escape") clear();
    if ((event.key === "ArrowDown" || event.key === "Enter") && rows.length) {
      event.preventDefault();
      focusRow(active ?? rows[0].row);
    }
  }

  function clear() {
    search.value = "";
    limit = STEP;
    show();
    search.focus();
  }

  /** Open all that holds a row, and go there. */
  function reveal(row) {
    search.value = "";
    for (let above = row.above; above; above = above.above) open.add(above.key);
    const place = everyRow().findIndex((each) => each.row === row);
    limit = Math.max(STEP, Math.ceil((place + 1) / STEP) * STEP);
    active = row;
    show(true);
    shown.get(row).scrollIntoView({ block: "center" });
  }

  function all(wanted) {
    open.clear();
    if (wanted) {
      const waiting = [...top];
      while (waiting.length) {
        const row = waiting.pop();
        open.add(row.key);
        waiting.push(...row.children);
      }
    }
    limit = STEP;
    show();
  }

  const titles = ["Layer", "Type", "Configuration", "Input", "Output", "Depth", "Parameters", "MACs", "Share of MACs"];
  const head = titles.map((title, at) => h("th", { scope: "col", role: "columnheader", class: at > 4 ? "number" : null }, title));
  const never = data.unused.reduce((sum, [, , params]) => sum + params, 0);
  const sums = [["Total", data.numbers.depth, data.numbers.params, total]];
  if (never) sums.unshift(["Never called", "", never, ""]);
  const foot = sums.map(([title, ...figures]) => h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader", colspan: "5" }, title),
    ...figures.map((figure) => h("td", { role: "gridcell", class: "number" }, figure === "" ? "" : number(figure))),
    h("td", { role: "gridcell" })));
  const table = h("table", { role: "treegrid", "aria-label": "Layers", class: "layers" },
    h("colgroup", {}, ...WIDTHS.map((kind) => h("col", { class: kind }))), h("thead", {}, h("tr", { role: "row" }, ...head)), body, h("tfoot", {}, ...foot));

  openAtFirst();
  show();
  const byName = new Map(units.map((unit) => [unit.name, unit]));
  return {
    elements: [
      h("div", { class: "tools", role: "search" },
        h("label", { for: "search" }, "Search layers by name, type, configuration or shape"), search,
        h("button", { type: "button", onclick: () => all(true) }, "Open all"),
        h("button", { type: "button", onclick: () => all(false) }, "Close all"), status),
      h("div", { class: "box", role: "region", "aria-label": "Table of layers", tabindex: "-1" }, table),
      more,
      h("p", { class: "legend" }, h("span", { class: "mark" }, "●"), "counted for the depth: on the longest path. ",
        h("span", { class: "mark" }, "○"), "weighted, but not counted: the reasons are under Depth."),
    ],
    /** Whether there is a call of this name to go to. */
    knows: (name) => byName.has(name),
    reveal: (name) => reveal(byName.get(name)),
  };
}
