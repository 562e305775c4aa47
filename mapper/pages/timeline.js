"use strict";
// The timeline of a page: rows of spans on a canvas, moved and asked by keys and pointer. No library, no request.

const GUTTER = 112, AXIS = 24, HEIGHTS = {operators: 26, unit: 22, memory: 56}, GAP = 4;
const TILE_COLOURS = ["#4477aa", "#77aadd"], UNIT_COLOURS = {host: "#555555", normaliser: "#aa3377"};
const MEMORY_COLOUR = "#66ccee";
const LEAST_CYCLES = 20;

function spansOf(row, data) {
  // Columns start, end, name, tile and tensors of a row of units or operators.
  if (row.kind === "operators") {
    return row.spans.map(([start, end, name, about]) => ({start, end, name, tile: -1, about}));
  }
  const spans = [];
  for (let at = 0; at < row.spans.length; at += 5) {
    const [start, end, name, tile, moved] = row.spans.slice(at, at + 5);
    spans.push({start, end, name: data.names[name], tile, moved: data.sets[moved]});
  }
  return spans;
}

function stepsOf(row, data) {
  // Steps of a memory: from each cycle at which something changes to the next, with the sum of all tensors.
  const now = new Map(), steps = [];
  let sum = 0;
  for (let at = 0; at < row.levels.length; at += 3) {
    const [cycle, tensor, size] = row.levels.slice(at, at + 3);
    sum += size - (now.get(tensor) || 0);
    now.set(tensor, size);
    if (steps.length && steps[steps.length - 1].start === cycle) {
      steps[steps.length - 1].sum = sum;
    } else {
      if (steps.length) steps[steps.length - 1].end = cycle;
      steps.push({start: cycle, end: data.cycles, sum});
    }
  }
  return steps;
}

function heldAt(row, cycle, data) {
  const now = new Map();
  for (let at = 0; at < row.levels.length && row.levels[at] <= cycle; at += 3) {
    now.set(row.levels[at + 1], row.levels[at + 2]);
  }
  return [...now].filter(([, size]) => size).sort((one, other) => other[1] - one[1])
    .map(([tensor, size]) => `${data.tensors[tensor]} ${kib(size)}`).join(", ");
}

const kib = (size) => `${(size / 1024).toLocaleString("en", {maximumFractionDigits: 1})} KiB`;

class Timeline {
  constructor(box) {
    this.data = JSON.parse(document.getElementById(box.dataset.source).textContent);
    this.canvas = box.querySelector("canvas");
    this.tip = box.querySelector(".tip");
    this.output = box.querySelector("output");
    this.view = box.querySelector(".view");
    this.rows = this.data.rows.map((row) => ({
      ...row, spans: row.kind === "memory" ? stepsOf(row, this.data) : spansOf(row, this.data),
    }));
    let top = AXIS;
    for (const row of this.rows) {
      row.top = top;
      row.height = HEIGHTS[row.kind];
      top += row.height + GAP;
    }
    this.height = top;
    this.from = 0;
    this.to = this.data.cycles;
    this.selected = null;
    for (const button of box.querySelectorAll("button")) {
      button.addEventListener("click", () => this.act(button.dataset.do));
    }
    this.listen();
    this.draw();
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    canvas.addEventListener("pointerdown", (event) => {
      this.drag = {x: event.offsetX, from: this.from, to: this.to, moved: false};
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (this.drag && !this.drag.moved) this.select(this.hit(event.offsetX, event.offsetY));
      this.drag = null;
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.cycle(event.offsetX));
    }, {passive: false});
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get width() { return this.canvas.clientWidth - GUTTER - 8; }
  x(cycle) { return GUTTER + (cycle - this.from) / (this.to - this.from) * this.width; }
  cycle(x) { return this.from + (x - GUTTER) / this.width * (this.to - this.from); }
  time(cycle) {
    return `${(cycle / this.data.clock_mhz).toLocaleString("en", {maximumFractionDigits: 3})} µs`;
  }

  show(from, to) {
    const length = Math.max(LEAST_CYCLES, Math.min(this.data.cycles, to - from));
    this.from = Math.max(0, Math.min(this.data.cycles - length, from));
    this.to = this.from + length;
    this.draw();
  }

  zoom(factor, around) {
    this.show(around - (around - this.from) * factor, around + (this.to - around) * factor);
  }

  act(what) {
    const length = this.to - this.from, middle = this.middle();
    if (what === "in") this.zoom(0.5, middle);
    if (what === "out") this.zoom(2, middle);
    if (what === "left") this.show(this.from - length / 2, this.to - length / 2);
    if (what === "right") this.show(this.from + length / 2, this.to + length / 2);
    if (what === "all") this.show(0, this.data.cycles);
  }

  middle() {
    const span = this.selected && this.rows[this.selected.row].spans[this.selected.at];
    const inside = span && span.start < this.to && span.end > this.from;
    return inside ? (Math.max(span.start, this.from) + Math.min(span.end, this.to)) / 2 : (this.from + this.to) / 2;
  }

  key(event) {
    const actions = {"+": "in", "=": "in", "-": "out", PageUp: "left", PageDown: "right", 0: "all"};
    const steps = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in actions) this.act(actions[event.key]);
    else if (event.key in steps) this.step(...steps[event.key]);
    else if (event.key === "Home" || event.key === "End") this.end(event.key === "Home");
    else if (event.key === "Escape") this.select(null);
    else return;
    event.preventDefault();
  }

  step(rows, spans) {
    if (!this.selected) {
      this.select({row: 0, at: this.nearest(0, this.from)});
      return;
    }
    const {row, at} = this.selected, here = this.rows[row].spans[at];
    const next = Math.max(0, Math.min(this.rows.length - 1, row + rows));
    const place = rows ? this.nearest(next, (here.start + here.end) / 2)
      : Math.max(0, Math.min(this.rows[row].spans.length - 1, at + spans));
    this.select({row: next, at: place});
  }

  end(first) {
    const row = this.selected ? this.selected.row : 0;
    this.select({row, at: first ? 0 : this.rows[row].spans.length - 1});
  }

  nearest(row, cycle) {
    // The span at a cycle, or the one whose gap to it is smaller.
    const spans = this.rows[row].spans, after = this.firstEndingAfter(spans, cycle);
    if (after === spans.length || (after > 0 && spans[after].start - cycle > cycle - spans[after - 1].end)) {
      return Math.max(0, after - 1);
    }
    return after;
  }

  firstEndingAfter(spans, cycle) {
    let low = 0, high = spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[middle].end > cycle) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  select(place) {
    this.selected = place && this.rows[place.row].spans.length ? place : null;
    if (this.selected) {
      const span = this.rows[place.row].spans[place.at], length = this.to - this.from;
      if (span.start >= this.to || span.end <= this.from) {
        this.show(span.start - length / 2, span.start + length / 2);
      }
    }
    this.output.textContent = this.selected ? this.told(place) : "No span is selected.";
    this.draw();
  }

  told({row, at}) {
    const line = this.rows[row], span = line.spans[at];
    const when = `${this.time(span.start)} to ${this.time(span.end)}, cycles ${span.start.toLocaleString("en")} to ` +
      `${span.end.toLocaleString("en")} (${(span.end - span.start).toLocaleString("en")})`;
    if (line.kind === "memory") {
      const held = heldAt(this.data.rows[row], span.start, this.data) || "nothing";
      return `${line.name}: ${kib(span.sum)} of ${kib(line.capacity)}: ${held}; ${when}`;
    }
    if (line.kind === "operators") return `${span.name}: ${when}; ${span.about}`;
    const operator = this.rows[0].spans[this.nearest(0, span.start)];
    const tile = span.tile < 0 ? "" : `, tile ${span.tile}`;
    const verb = line.unit === "store" ? "stores" : "loads";
    return `${line.name}: ${span.name}${tile} of ${operator.name}; ${span.moved ? `${verb} ${span.moved}; ` : ""}${when}`;
  }

  hit(x, y) {
    const row = this.rows.findIndex((line) => y >= line.top && y < line.top + line.height);
    if (row < 0 || x < GUTTER) return null;
    const spans = this.rows[row].spans, slack = (this.to - this.from) / this.width;
    const at = this.firstEndingAfter(spans, this.cycle(x) - slack);
    return at < spans.length && spans[at].start <= this.cycle(x) + slack ? {row, at} : null;
  }

  move(event) {
    if (this.drag) {
      const cycles = (event.offsetX - this.drag.x) / this.width * (this.drag.to - this.drag.from);
      if (Math.abs(event.offsetX - this.drag.x) > 3) this.drag.moved = true;
      if (this.drag.moved) this.show(this.drag.from - cycles, this.drag.to - cycles);
      return;
    }
    const place = this.hit(event.offsetX, event.offsetY);
    this.tip.hidden = !place;
    if (place) {
      this.tip.textContent = this.told(place);
      this.tip.style.left = `${Math.min(event.offsetX + 12, this.canvas.clientWidth - 260)}px`;
      this.tip.style.top = `${event.offsetY + 14}px`;
    }
  }

  draw() {
    const scale = window.devicePixelRatio || 1, canvas = this.canvas;
    canvas.style.height = `${this.height}px`;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(this.height * scale);
    const style = getComputedStyle(document.documentElement);
    this.ink = style.getPropertyValue("--ink");
    this.line = style.getPropertyValue("--line");
    this.panel = style.getPropertyValue("--panel");
    this.focus = style.getPropertyValue("--focus");
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, canvas.clientWidth, this.height);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.drawAxis(pen);
    this.rows.forEach((row, number) => {
      pen.fillStyle = this.ink;
      pen.textAlign = "left";
      pen.fillText(row.name, 6, row.top + row.height / 2);
      pen.save();
      pen.beginPath();
      pen.rect(GUTTER, row.top - 1, this.width, row.height + 2);
      pen.clip();
      if (row.kind === "memory") this.drawMemory(pen, row);
      else this.drawSpans(pen, row);
      if (this.selected && this.selected.row === number) this.drawSelection(pen, row);
      pen.restore();
    });
    this.view.textContent = `${this.time(this.from)} to ${this.time(this.to)}`;
  }

  drawAxis(pen) {
    const rough = (this.to - this.from) / this.data.clock_mhz / 8, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) || 10);
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    pen.textAlign = "center";
    for (let at = Math.ceil(this.from / this.data.clock_mhz / step); at * step * this.data.clock_mhz <= this.to; at += 1) {
      const x = this.x(at * step * this.data.clock_mhz);
      pen.fillStyle = this.line;
      pen.fillRect(x, AXIS - 4, 1, this.height);
      pen.fillStyle = this.ink;
      pen.fillText(`${(at * step).toLocaleString("en", {maximumFractionDigits: digits})} µs`, x, AXIS / 2);
    }
  }

  drawSpans(pen, row) {
    let drawn = -1;
    for (let at = this.firstEndingAfter(row.spans, this.from); at < row.spans.length; at += 1) {
      const span = row.spans[at];
      if (span.start >= this.to) break;
      const left = Math.max(GUTTER, this.x(span.start)), right = Math.min(GUTTER + this.width, this.x(span.end));
      if (right <= drawn) continue;
      const wide = right - left > 3;
      pen.fillStyle = row.kind === "operators" ? this.panel : UNIT_COLOURS[row.unit] || TILE_COLOURS[Math.abs(span.tile) % 2];
      pen.fillRect(left, row.top, Math.max(1, right - left - (wide ? 1 : 0)), row.height);
      drawn = Math.max(right, left + 1);
      if (row.kind === "operators") {
        pen.strokeStyle = this.line;
        pen.strokeRect(left + 0.5, row.top + 0.5, Math.max(1, right - left - 1), row.height - 1);
      }
      const text = row.kind === "operators" ? span.name : span.tile < 0 ? span.name : `#${span.tile} ${span.moved || span.name}`;
      this.write(pen, row, text, span.tile < 0 ? text : `#${span.tile}`, left, right, at);
    }
  }

  write(pen, row, text, brief, left, right, at) {
    const fits = [text, brief].find((one) => pen.measureText(one).width < right - left - 6);
    if (!fits) return;
    const light = row.kind === "unit" && row.unit !== "host" && row.unit !== "normaliser" && row.spans[at].tile % 2;
    pen.fillStyle = row.kind === "operators" ? this.ink : light ? "#000000" : "#ffffff";
    pen.textAlign = "center";
    pen.fillText(fits, (left + right) / 2, row.top + row.height / 2);
  }

  drawMemory(pen, row) {
    pen.strokeStyle = this.line;
    pen.strokeRect(GUTTER + 0.5, row.top + 0.5, this.width, row.height);
    pen.fillStyle = MEMORY_COLOUR;
    for (let at = this.firstEndingAfter(row.spans, this.from); at < row.spans.length; at += 1) {
      const step = row.spans[at];
      if (step.start >= this.to) break;
      const left = Math.max(GUTTER, this.x(step.start)), right = Math.min(GUTTER + this.width, this.x(step.end));
      const height = row.height * Math.min(1, step.sum / row.capacity);
      pen.fillRect(left, row.top + row.height - height, right - left + 0.6, height);
    }
  }

  drawSelection(pen, row) {
    const span = row.spans[this.selected.at];
    pen.strokeStyle = this.focus;
    pen.lineWidth = 3;
    pen.strokeRect(this.x(span.start) + 1, row.top + 1, Math.max(3, this.x(span.end) - this.x(span.start) - 2), row.height - 2);
    pen.lineWidth = 1;
  }
}

for (const box of document.querySelectorAll(".timeline")) box.timeline = new Timeline(box);
