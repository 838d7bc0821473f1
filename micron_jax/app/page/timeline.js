// The curve of motion over time: values, numbered candidates, a cursor, and what the pointer is at.
import { $, shape } from "./dom.js";

const LEFT = 44, RIGHT = 12, TOP = 22, BOTTOM = 26, HEIGHT = 190;

export class Timeline {
  // `measure`: value -> text, with the `unit`; `go` gets the index of the frame that is pointed at.
  constructor(result, { named, measure, unit, go }) {
    Object.assign(this, result, { named, measure, unit, go, at: 0 });
    this.end = this.seconds.at(-1) || 1;
    this.most = Math.max(...this.energy) * 1.12 || 1;
    const { top } = this.legend;
    this.most = Math.max(this.most, top / 3);
    const plot = $("timeline"), pointed = event => this.indexAt(event);
    plot.onpointerdown = event => { plot.setPointerCapture(event.pointerId); go(pointed(event)); };
    plot.onpointermove = event => {
      this.hover(event);
      if (event.buttons) go(pointed(event));
    };
    plot.onpointerleave = () => { this.over.setAttribute("visibility", "hidden"); $("hover").hidden = true; };
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe($("plot"));
    this.draw();
  }

  close() { this.watcher.disconnect(); }

  x(second) { return LEFT + second / this.end * (this.width - LEFT - RIGHT); }
  y(value) { return HEIGHT - BOTTOM - value / this.most * (HEIGHT - TOP - BOTTOM); }

  draw() {
    this.width = Math.max(240, $("plot").clientWidth);
    const bottom = HEIGHT - BOTTOM, right = this.width - RIGHT, marks = [];
    for (const value of ticks(this.most, 4)) {
      marks.push(shape("line", { x1: LEFT, x2: right, y1: this.y(value), y2: this.y(value), class: "grid" }));
      marks.push(shape("text", { x: LEFT - 6, y: this.y(value) + 4, "text-anchor": "end" }, `${value}`));
    }
    marks.push(shape("text", { x: LEFT - 6, y: TOP - 7, "text-anchor": "end" }, this.unit));
    for (const second of ticks(this.end, this.width / 90)) {
      const anchor = this.x(second) > right - 20 ? "end" : "middle";
      marks.push(shape("text", { x: this.x(second), y: HEIGHT - 8, "text-anchor": anchor },
        `${second}${second ? "" : " s"}`));
    }
    const half = this.end / this.seconds.length / 2;
    this.intervals.forEach(({ onset, apex, offset }, n) => {
      const from = this.x(this.seconds[onset] - half), to = this.x(this.seconds[offset] + half);
      const strong = n < this.named;
      marks.push(shape("rect", { x: from, width: Math.max(2, to - from), y: TOP,
        height: bottom - TOP, class: strong ? "strong" : "weak", "data-n": n }));
      if (strong) {
        marks.push(shape("text", { x: this.x(this.seconds[apex]), y: TOP - 7, "text-anchor": "middle",
          class: "number", "data-n": n }, n + 1));
      }
    });
    const points = this.outline().map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    this.cursor = shape("line", { y1: TOP, y2: bottom, class: "cursor" });
    this.over = shape("line", { y1: TOP, y2: bottom, class: "over", visibility: "hidden" });
    const plot = $("timeline");
    for (const [name, value] of Object.entries({ width: this.width, height: HEIGHT })) {
      plot.setAttribute(name, value);
    }
    plot.replaceChildren(...marks, shape("polyline", { points }), this.over, this.cursor);
    this.show(this.at);
    this.choose(this.candidate);
  }

  // Of a long video the lowest and the highest value of each column of pixels.
  outline() {
    const columns = this.width - LEFT - RIGHT, each = this.energy.length / columns;
    const point = n => [this.x(this.seconds[n]), this.y(this.energy[n])];
    if (each <= 2) return this.energy.map((_, n) => point(n));
    const ends = [];
    for (let column = 0; column < columns; column++) {
      let low = Math.floor(column * each), high = low;
      for (let n = low; n < (column + 1) * each && n < this.energy.length; n++) {
        if (this.energy[n] < this.energy[low]) low = n;
        if (this.energy[n] > this.energy[high]) high = n;
      }
      ends.push(...[low, high].sort((one, other) => one - other).map(point));
    }
    return ends;
  }

  show(index) {
    this.at = index;
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.x(this.seconds[index]));
  }

  choose(n) {
    this.candidate = n;
    for (const mark of $("timeline").querySelectorAll("[data-n]")) {
      mark.classList.toggle("chosen", +mark.dataset.n === n);
    }
  }

  indexAt(event) {
    const { left, width } = $("timeline").getBoundingClientRect();
    const x = (event.clientX - left) / width * this.width;
    const second = (x - LEFT) / (this.width - LEFT - RIGHT) * this.end;
    return nearest(this.seconds, second);
  }

  hover(event) {
    const n = this.indexAt(event), x = this.x(this.seconds[n]), note = $("hover");
    const inside = this.intervals.findIndex(({ onset, offset }) => onset <= n && n <= offset);
    const name = inside < 0 ? "" : inside < this.named ? `, candidate ${inside + 1}` : ", unlikely candidate";
    note.textContent = `${this.seconds[n].toFixed(2)} s: ${this.measure(this.energy[n])}${name}`;
    note.hidden = false;
    note.style.left = `${Math.min(Math.max(0, x - note.offsetWidth / 2), this.width - note.offsetWidth)}px`;
    for (const end of ["x1", "x2"]) this.over.setAttribute(end, x);
    this.over.setAttribute("visibility", "visible");
  }
}

// The index of the value in rising `values` that is nearest to one.
export function nearest(values, value) {
  let low = 0, high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low && value - values[low - 1] < values[low] - value ? low - 1 : low;
}

// About `count` round numbers from 0 to `most`.
function ticks(most, count) {
  const rough = most / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough);
  const marks = [];
  for (let n = 0; n * step <= most; n++) marks.push(+(n * step).toPrecision(6));
  return marks;
}
