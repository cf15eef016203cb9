"use strict";
(() => {
  const CHUNK = 200; // rows of the table that are made at a time
  const HEAD = 16; // pixels for a folder's name
  const LETTER = 6.7; // pixels that a letter of a label takes
  const SMALLEST = 3; // pixels; what is narrower is not drawn
  const KINDS = { A: "added", C: "changed", D: "deleted" };

  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const rows = data.rows.map((values, index) => {
    const row = Object.fromEntries(data.fields.map((name, at) => [name, values[at]]));
    row.index = index;
    row.isFile = row.before !== null || row.after !== null;
    row.growth = row.isFile ? (row.after ?? 0) - (row.before ?? 0) : null;
    row.reason = reason(row);
    row.words = `${row.path}\n${row.reason}`.toLowerCase();
    return row;
  });

  // Text from the report goes into the page here only, and as text.
  function make(name, attributes = {}, ...children) {
    return dress(document.createElement(name), attributes, children);
  }

  function draw(name, attributes = {}, ...children) {
    return dress(document.createElementNS(find("map").namespaceURI, name), attributes, children);
  }

  function dress(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function size(bytes) {
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let unit = 0;
    while (unit < units.length - 1 && Number(bytes.toPrecision(3)) >= 1000) {
      bytes /= 1000;
      unit += 1;
    }
    return `${Number(bytes.toPrecision(3))} ${units[unit]}`;
  }

  function signed(bytes) {
    return bytes ? (bytes > 0 ? "+" : "−") + size(Math.abs(bytes)) : "0 B";
  }

  function counted(number, noun) {
    return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  }

  // What differs, with mode and owner; of what was added or deleted, those that it has or had.
  function reason(row) {
    if (row.kind !== "C") {
      const side = row.kind === "A" ? 1 : 0;
      return [row.mode[side], row.owner[side]].filter(Boolean).join(" ");
    }
    const sides = (name) => row[name].map((each) => each ?? "none").join(" → ");
    const hasSides = (name) => name === "mode" || name === "owner";
    return row.why.map((name) => (hasSides(name) ? `${name} ${sides(name)}` : name)).join(", ");
  }

  // ---- totals

  const { added, changed, deleted, grown, shrunk } = data.totals;
  const sums = [
    ["A", "added", added.toLocaleString("en")],
    ["C", "changed", changed.toLocaleString("en")],
    ["D", "deleted", deleted.toLocaleString("en")],
    ["", "bytes added", signed(grown)],
    ["", "bytes removed", signed(-shrunk)],
    ["", "difference", signed(grown - shrunk)],
  ];
  for (const [kind, name, value] of sums) {
    find("totals").append(make("div", { class: kind }, make("dt", {}, name), make("dd", {}, value)));
  }

  // ---- the tree of what has changed bytes

  function folder(name, path, parent) {
    const sums = { bytes: 0, count: 0, kinds: { A: 0, C: 0, D: 0 } };
    return { name, path, parent, children: [], folders: new Map(), ...sums };
  }

  function grow() {
    const root = folder("", "", null);
    for (const row of rows.filter((each) => each.bytes)) {
      let at = root;
      const way = [root];
      const names = row.path.split("/");
      const last = names.pop();
      for (const name of names) {
        if (!at.folders.has(name)) {
          const made = folder(name, `${at.path}${name}/`, at);
          at.folders.set(name, made);
          at.children.push(made);
        }
        at = at.folders.get(name);
        way.push(at);
      }
      at.children.push({ name: last, path: row.path, parent: at, row, bytes: row.bytes });
      for (const each of way) {
        each.bytes += row.bytes;
        each.count += 1;
        each.kinds[row.kind] += row.bytes;
      }
    }
    settle(root);
    return root;
  }

  // Largest first, and folders with nothing but one folder inside become one with it.
  function settle(root) {
    const todo = [root];
    while (todo.length) {
      const node = todo.pop();
      node.children = node.children.map((child) => {
        let only = child;
        while (!only.row && only.children.length === 1 && !only.children[0].row) {
          only = only.children[0];
          only.name = `${only.parent.name}/${only.name}`;
        }
        only.parent = node;
        return only;
      });
      node.children.sort((one, other) => other.bytes - one.bytes);
      todo.push(...node.children.filter((child) => !child.row));
    }
  }

  function described(node) {
    if (node.row) return `${node.path}: ${KINDS[node.row.kind]}, ${size(node.bytes)}`;
    const parts = Object.entries(node.kinds).filter(([, bytes]) => bytes);
    const kinds = parts.map(([kind, bytes]) => `${size(bytes)} ${KINDS[kind]}`).join(", ");
    return `${node.path || "/"}: ${counted(node.count, "file")}, ${kinds}`;
  }

  function mainKind(node) {
    if (node.row) return node.row.kind;
    return Object.entries(node.kinds).reduce((one, other) => (other[1] > one[1] ? other : one))[0];
  }

  // ---- the treemap (Bruls, Huizing, van Wijk: Squarified Treemaps)

  // The box of each node, largest node first: rows along the shorter side, each as long as its
  // boxes get squarer by it.
  function squarify(nodes, { x, y, width, height }) {
    const scale = (width * height) / nodes.reduce((sum, node) => sum + node.bytes, 0);
    const boxes = [];
    for (let from = 0; from < nodes.length; ) {
      const isWide = width >= height;
      const side = isWide ? height : width;
      const [to, area] = row(nodes, from, scale, side);
      const depth = side ? area / side : 0;
      let along = 0;
      for (; from < to; from += 1) {
        const length = depth ? (nodes[from].bytes * scale) / depth : 0;
        if (isWide) boxes.push({ x, y: y + along, width: depth, height: length });
        else boxes.push({ x: x + along, y, width: length, height: depth });
        along += length;
      }
      if (isWide) [x, width] = [x + depth, Math.max(0, width - depth)];
      else [y, height] = [y + depth, Math.max(0, height - depth)];
    }
    return boxes;
  }

  // Where the row that begins at `from` ends, and its area.
  function row(nodes, from, scale, side) {
    const largest = nodes[from].bytes * scale;
    const worst = (area, smallest) => {
      const square = (area / side) ** 2;
      return Math.max(largest / square, square / smallest);
    };
    let area = largest;
    let to = from + 1;
    for (let ratio = worst(area, largest); to < nodes.length; to += 1) {
      const next = nodes[to].bytes * scale;
      const then = worst(area + next, next);
      if (then > ratio) break;
      ratio = then;
      area += next;
    }
    return [to, area];
  }

  function tile(node, { x, y, width, height }) {
    const isOpen = !node.row && width > 34 && height > HEAD + 14;
    const element = draw(
      "g",
      { class: isOpen ? "folder" : mainKind(node), role: "treeitem", tabindex: -1, "aria-label": described(node) },
      draw("title", {}, described(node)),
      draw("rect", { x, y, width, height }),
    );
    const letters = Math.floor((width - 8) / LETTER);
    if (letters >= 3 && height >= HEAD) {
      const name = node.row ? node.name : `${node.name}/`;
      const label = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
      element.append(draw("text", { x: x + 4, y: y + 12 }, label));
    }
    node.element = element;
    tiles.set(element, node);
    if (isOpen) {
      const group = draw("g", { role: "group" });
      inner(node, group, { x: x + 2, y: y + HEAD, width: width - 4, height: height - HEAD - 2 });
      element.append(group);
    }
    return element;
  }

  function inner(node, element, box) {
    const boxes = squarify(node.children, box);
    node.children.forEach((child, at) => {
      const { width, height } = boxes[at];
      if (width >= SMALLEST && height >= SMALLEST) element.append(tile(child, boxes[at]));
    });
  }

  let tiles = new Map();
  let here = grow();
  let drawn = "";

  function drawMap() {
    const map = find("map");
    const { width, height } = map.getBoundingClientRect();
    drawn = `${width} ${height}`;
    tiles = new Map();
    map.replaceChildren();
    if (here.bytes) inner(here, map, { x: 0, y: 0, width, height });
    else map.append(draw("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "No bytes of files differ."));
    tiles.keys().next().value?.setAttribute("tabindex", 0);
  }

  // Only where the size differs: a new drawing has not the focus that the old one had.
  function fit() {
    const { width, height } = find("map").getBoundingClientRect();
    if (drawn !== `${width} ${height}`) drawMap();
  }

  function crumbs() {
    const way = [];
    for (let node = here; node; node = node.parent) way.unshift(node);
    const steps = way.map((node) => {
      const button = make("button", { type: "button" }, node.name || "root");
      if (node === here) button.setAttribute("aria-current", "location");
      button.addEventListener("click", () => zoom(node));
      return make("li", {}, button);
    });
    find("crumbs").replaceChildren(...steps);
  }

  function list() {
    const items = here.children.slice(0, CHUNK).map((node) => {
      const button = make("button", { type: "button" }, node.name + (node.row ? "" : "/"));
      button.addEventListener("click", () => go(node));
      return make("li", {}, button, described(node).slice(node.path.length));
    });
    const rest = here.children.length - items.length;
    if (rest) items.push(make("li", {}, `and ${counted(rest, "smaller one")}`));
    find("list").replaceChildren(...items);
  }

  function zoom(node) {
    here = node;
    drawMap();
    crumbs();
    list();
    fill();
  }

  function go(node) {
    if (!node.row) return zoom(node);
    find("filter").value = node.path;
    fill();
    find("table").scrollIntoView();
    find("filter").focus({ preventScroll: true });
  }

  function focus(node) {
    if (!tiles.has(node?.element)) return;
    for (const each of tiles.keys()) each.setAttribute("tabindex", each === node.element ? 0 : -1);
    node.element.focus();
  }

  function neighbour(node, key) {
    const seen = (parent) => parent.children.filter((child) => tiles.has(child.element));
    if (key === "ArrowUp") return node.parent === here ? null : node.parent;
    if (key === "ArrowDown") return node.row ? null : seen(node)[0];
    const around = seen(node.parent);
    return around[around.indexOf(node) + (key === "ArrowRight" ? 1 : -1)];
  }

  function press(event) {
    const node = tiles.get(event.target);
    if (!node || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") {
      go(node);
      if (!node.row) focus(here.children[0]);
    } else if (event.key === "Escape" && here.parent) {
      const left = here;
      zoom(here.parent);
      focus(left);
    } else if (event.key.startsWith("Arrow")) {
      focus(neighbour(node, event.key));
    } else return;
    event.preventDefault();
  }

  // ---- the table

  const order = { key: "path", sign: 1 };
  let listed = [];
  let made = 0;

  // Rows come in the order of their paths; what has no size stays behind what has one.
  function compare(one, other) {
    const key = order.key === "path" ? "index" : order.key;
    const [a, b] = [one[key], other[key]];
    if (a === b) return one.index - other.index;
    if (a === null || b === null) return a === null ? 1 : -1;
    return (a < b ? -1 : 1) * order.sign;
  }

  function isPressed(button) {
    return button.getAttribute("aria-pressed") === "true";
  }

  function fill() {
    const word = find("filter").value.trim().toLowerCase();
    const pressed = [...find("kinds").children].filter(isPressed);
    const kinds = pressed.map((each) => each.value);
    listed = rows
      .filter((row) => kinds.includes(row.kind) && row.path.startsWith(here.path) && row.words.includes(word))
      .sort(compare);
    made = 0;
    find("table").tBodies[0].replaceChildren();
    find("table").setAttribute("aria-rowcount", listed.length + 1);
    const part = listed.length === rows.length ? "" : `${listed.length.toLocaleString("en")} of `;
    find("count").textContent = part + counted(rows.length, "change");
    more();
  }

  function more() {
    const next = listed.slice(made, made + CHUNK);
    find("table").tBodies[0].append(...next.flatMap(lines));
    made += next.length;
    const rest = listed.length - made;
    find("more").hidden = rest === 0;
    find("more").textContent = `Show more (${rest.toLocaleString("en")})`;
  }

  function lines(row) {
    const number = (value, kind = "number size") => make("td", { class: kind }, value === null ? "" : value);
    const line = make(
      "tr",
      {},
      make("td", { class: `kind ${row.kind}` }, KINDS[row.kind]),
      make("td", { class: "path" }, named(row)),
      make("td", { class: "type" }, row.type),
      number(row.before === null ? null : size(row.before)),
      number(row.after === null ? null : size(row.after)),
      number(row.growth === null ? null : signed(row.growth), "number"),
      make("td", { class: "why" }, row.reason),
    );
    return row.isOpen ? [line, unfolded(row)] : [line];
  }

  function named(row) {
    const end = row.path.lastIndexOf("/") + 1;
    const name = [make("i", {}, row.path.slice(0, end)), row.path.slice(end)];
    if (row.text === null) return make("span", {}, ...name);
    const button = make("button", { type: "button", "aria-expanded": Boolean(row.isOpen) }, ...name);
    button.title = "Show or hide the text diff";
    button.addEventListener("click", () => {
      row.isOpen = !row.isOpen;
      button.setAttribute("aria-expanded", row.isOpen);
      const line = button.closest("tr");
      if (row.isOpen) line.after(unfolded(row));
      else line.nextSibling.remove();
    });
    return button;
  }

  // A span for each run of lines of one colour: a diff may have very many lines.
  function unfolded(row) {
    const colour = (line) => ({ "+": "plus", "-": "minus", "@": "place" })[line[0]] ?? "same";
    const runs = [];
    for (const line of row.text.replace(/\n$/, "").split("\n")) {
      const kind = colour(line);
      if (runs.at(-1)?.kind === kind) runs.at(-1).lines.push(line);
      else runs.push({ kind, lines: [line] });
    }
    const spans = runs.map((run) => make("span", { class: run.kind }, run.lines.join("\n")));
    const label = `Text diff of ${row.path}`;
    const text = make("pre", { tabindex: 0, role: "region", "aria-label": label }, ...spans);
    const columns = [...find("table").tHead.rows[0].cells].filter((cell) => cell.offsetWidth);
    return make("tr", { class: "diff" }, make("td", { colspan: columns.length }, text));
  }

  function sort(event) {
    const head = event.target.closest("th");
    if (!head) return;
    const key = head.firstElementChild.value;
    order.sign = order.key === key ? -order.sign : head.classList.contains("number") ? -1 : 1;
    order.key = key;
    for (const each of head.parentElement.children) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending");
    fill();
  }

  function choose(event) {
    const button = event.target.closest("button");
    if (!button) return;
    button.setAttribute("aria-pressed", !isPressed(button));
    fill();
  }

  find("map").addEventListener("click", (event) => {
    const node = tiles.get(event.target.closest("g"));
    if (node) go(node);
  });
  find("map").addEventListener("keydown", press);
  find("filter").addEventListener("input", fill);
  find("kinds").addEventListener("click", choose);
  find("table").tHead.addEventListener("click", sort);
  find("more").addEventListener("click", more);
  new IntersectionObserver((seen) => seen.at(-1).isIntersecting && more(), { rootMargin: "600px" }).observe(find("more"));
  zoom(here);
  new ResizeObserver(fit).observe(find("map"));
})();
