"use strict";
const $ = id => document.getElementById(id);
const SPLITS = {
  subjects: "one subject left out at a time", groups: "subjects left out in groups",
  sets: "a whole data set left out",
};
const PICTURE = /\.(bmp|jpe?g|png|tiff?|webp)$/i, STRONG = 5;
const NAMES = {
  pair: "All of the pair", timeline: "Energy over time", moments: "Strongest moments",
  top_moment: "The strongest moment against the frame before it",
};
let facts = { megabytes: Infinity }, chosen = [], request = null, player = null;

fetch("facts").then(answer => answer.json()).then(answer => {
  facts = answer;
  $("checkpoint").textContent = facts.name;
  $("limits").textContent = `at most ${facts.megabytes} MB; videos up to ${facts.seconds} s`;
});

// Files: one video, or two pictures, which may come one after the other.
const ready = () => chosen.length === 2 || (chosen.length === 1 && !PICTURE.test(chosen[0].name));

function choose(files) {
  const fresh = [...files], both = [...chosen, ...fresh];
  if (!fresh.length || request) return;
  chosen = both.length === 2 && both.every(file => PICTURE.test(file.name)) ? both : fresh;
  showChosen();
}

function showChosen() {
  const roles = chosen.length === 1 && ready() ? [""] : ["frame: ", "compared with: "];
  const lines = chosen.map((file, n) => {
    const size = (file.size / 1e6).toFixed(file.size < 1e7 ? 2 : 0);
    return make("li", { textContent: `${roles[n] ?? ""}${file.name} (${size} MB)` });
  });
  if (chosen.length === 1 && !ready()) {
    lines.push(make("li", { textContent: "choose a second picture", className: "soft" }));
  }
  $("chosen").replaceChildren(...lines);
  $("chosen").hidden = !chosen.length;
  $("swap").hidden = chosen.length !== 2;
  const size = chosen.reduce((sum, file) => sum + file.size, 0);
  const large = size > facts.megabytes * 1e6;
  if (large) {
    fail(`files of ${(size / 1e6).toFixed(1)} MB; at most ${facts.megabytes} MB, the app's max-mb`);
  } else {
    fail(chosen.length > 2 ? "give one video, or two pictures of one face" : "");
  }
  $("go").disabled = !ready() || large;
}

$("files").onchange = () => { choose($("files").files); $("files").value = ""; };
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, event => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") choose(event.dataTransfer.files);
  });
}
$("swap").onclick = () => { chosen.reverse(); showChosen(); };
$("stop").onclick = () => request?.abort();
$("form").onsubmit = event => { event.preventDefault(); visualize(); };

async function visualize() {
  const form = new FormData();
  for (const file of chosen) form.append("files", file, file.name);
  form.append("crop", $("crop").value);
  form.append("map", $("kind").value);
  request = new AbortController();
  player?.pause();
  fail("");
  busy(true);
  progress({ doing: "sending" });
  try {
    // No browser reads its place before it has sent its files, which the server may leave waiting.
    const { requests } = await (await fetch("facts")).json();
    if (requests) progress({ doing: `sending (requests before it: ${requests})` });
    const answer = await fetch("visualize", { method: "POST", body: form, signal: request.signal });
    const last = await follow(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    if (last.result) show(last.result, chosen.map(file => file.name).join(" and "));
    else fail(last.error ?? "the server has stopped");
  } catch (error) {
    fail(error.name === "AbortError" ? "stopped" : "the server does not answer: is it running?");
  }
  request = null;
  busy(false);
}

// Progress as it comes, a JSON object a line; -> the last one: the result, or an error.
async function follow(reader) {
  let rest = [], last = {};
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (done ? "\n" : value).split("\n");
    rest.push(lines.shift());
    while (lines.length) {
      const line = rest.join("");
      rest = [lines.shift()];
      if (line) last = JSON.parse(line);
      if (last.doing) progress(last);
    }
    if (done) return last;
  }
}

function busy(yes) {
  $("working").hidden = $("stop").hidden = !yes;
  $("go").disabled = yes || !ready();
  $("swap").hidden = yes || chosen.length !== 2;
}

function progress({ doing, done, total }) {
  $("doing").textContent = total ? `${doing}: ${done} of ${total}` : `${doing} …`;
  if (total) Object.assign($("progress"), { max: total, value: done });
  else $("progress").removeAttribute("value");
}

function fail(line) {
  $("error").textContent = line;
  $("error").hidden = !line;
}

function show(result, names) {
  const clip = result.input === "clip", { colors, top, label } = result.legend;
  $("title").textContent = names;
  $("clip").hidden = $("controls").hidden = !clip;
  $("pair").hidden = clip;
  $("pair").replaceChildren(...(result.pictures ?? []).map(
    ({ title, src }) => picture(title, src, result.aspect)));
  $("legend").querySelector("i").style.background = `linear-gradient(to right, ${colors})`;
  $("top").textContent = top;
  $("label").textContent = label;
  $("note").textContent = note(result);
  $("figures").replaceChildren(...Object.keys(NAMES).filter(id => result.figures[id]).map(
    id => picture(NAMES[id], result.figures[id])));
  $("archive").href = `data:application/zip;base64,${result.archive}`;
  $("result").hidden = false;
  if (!clip) classes(result.probabilities[0], "The frame as the apex, the other as the onset.");
  player = clip ? new Player(result) : null;
  $("result").scrollIntoView();
}

// The classifier's probabilities, and its figures on people that it had not seen.
function classes(probabilities, which) {
  $("classes").hidden = probabilities === undefined;
  if (probabilities === undefined) return;
  if (probabilities === null) {
    $("which").textContent = "Nothing moved beyond the noise: no class.";
    $("rows").replaceChildren();
    $("evidence").textContent = "";
    return;
  }
  const evidence = facts.classifier, largest = Math.max(...probabilities);
  const interval = evidence.intervals ? ` (95 % over subjects ${span(evidence.intervals.uf1)})` : "";
  const unmoved = evidence.no_class ? `In ${evidence.no_class} of the ${evidence.samples} clips `
    + "nothing moved beyond the noise: these figures have a class for them, here they get none. " : "";
  $("which").textContent = which;
  $("rows").replaceChildren(...evidence.classes.map((name, n) => {
    const row = make("tr", { className: probabilities[n] === largest ? "likely" : "" });
    const bar = make("i"), cell = make("td", { textContent: percent(probabilities[n]) });
    bar.style.width = `${100 * probabilities[n]}%`;
    cell.append(bar);
    const { recall, precision } = evidence.per_class[name];
    const others = [recall, precision].map(x => make("td", { textContent: percent(x) }));
    row.append(make("th", { textContent: name, scope: "row" }), cell, ...others);
    return row;
  }));
  $("evidence").textContent =
    `Protocol ${evidence.protocol}, ${SPLITS[evidence.split] ?? evidence.split}: on `
    + `${evidence.subjects} subjects that they had not seen, classifiers trained alike had UF1 `
    + `${evidence.uf1.toFixed(2)}${interval} and UAR ${evidence.uar.toFixed(2)}. Found: the share of `
    + "a class's clips that they recognized; right: the share of clips that they gave this class and "
    + `that are of it. ${unmoved}A blink gets a class, too. They learned from `
    + `${evidence.crop === "face" ? "aligned faces" : "whole frames of their set"}.`;
}

const percent = share => `${Math.round(100 * share)} %`;
const span = ([low, high]) => `${low.toFixed(2)} to ${high.toFixed(2)}`;

function note(result) {
  if (result.refused) return `The two are not registered: ${result.refused}.`;
  if (result.assumed) return `The file tells no frame rate: ${result.fps} a second taken.`;
  return "";
}

function picture(title, src, aspect) {
  const figure = make("figure"), image = make("img", { src, alt: title });
  if (aspect) image.style.aspectRatio = aspect;
  figure.append(image, make("figcaption", { textContent: title }));
  return figure;
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

// How likely a candidate is a micro-expression; where nothing tells it, how far it stands out.
function sure(interval) {
  if (interval.confidence === null) return `${interval.strength.toFixed(0)} σ`;
  return `${(100 * interval.confidence).toFixed(0)} %`;
}

// Face and map, frame by frame, and the curve below; `shown` are the indices of `frames`.
class Player {
  constructor(result) {
    Object.assign(this, result, { at: 0, timer: 0 });
    this.images = this.frames.map(src => make("img", { src }));
    for (const id of ["face", "map"]) $(id).style.aspectRatio = this.aspect;
    $("seek").max = this.shown.length - 1;
    $("seek").oninput = () => { this.pause(); this.go(+$("seek").value); };
    $("play").onclick = () => this.timer ? this.pause() : this.play();
    $("timeline").onclick = event => {
      const box = $("timeline").getBoundingClientRect();
      this.pause();
      this.goTo((event.clientX - box.left) / box.width * (this.seconds.length - 1));
    };
    this.draw();
    $("ends").lastElementChild.textContent = `${this.seconds.at(-1).toFixed(2)} s`;
    $("candidates").replaceChildren(...this.intervals.slice(0, STRONG).map((interval, n) => {
      const [from, to] = [interval.onset, interval.offset].map(i => this.seconds[i].toFixed(2));
      const label = `${n + 1}: ${from}–${to} s ${interval.part} ${sure(interval)}`;
      const onclick = () => { this.pause(); this.goTo(interval.apex); this.classes(n); };
      return make("button", { type: "button", textContent: label, onclick });
    }));
    if (!this.intervals.length) $("candidates").textContent = "No candidate.";
    this.classes(0);
    this.goTo(this.intervals[0]?.apex ?? this.energy.indexOf(Math.max(...this.energy)));
  }

  classes(n) {
    classes(this.probabilities[n], `Candidate ${n + 1}, from its onset to its apex.`);
  }

  draw() {
    const last = Math.max(1, this.energy.length - 1);
    this.x = n => n / last * 1000;
    const parts = this.intervals.map(({ onset, offset }, n) => shape("rect", {
      x: this.x(onset - .5), width: this.x(offset - onset + 1), height: 160,
      class: n < STRONG ? "strong" : "weak",
    }));
    const points = this.energy.map((value, n) => `${this.x(n)},${152 - 140 * value}`).join(" ");
    this.cursor = shape("line", { y1: 0, y2: 160 });
    $("timeline").replaceChildren(...parts, shape("polyline", { points }), this.cursor);
  }

  goTo(index) {
    const gaps = this.shown.map(n => Math.abs(n - index));
    this.go(gaps.indexOf(Math.min(...gaps)));
  }

  async go(at) {
    this.at = at;
    const index = this.shown[at], image = this.images[at];
    await image.decode();
    if (this.at !== at || player !== this) return;  // another frame is wanted by now
    const side = image.naturalHeight;
    ["face", "map"].forEach((id, n) => {
      const canvas = $(id);
      if (canvas.width !== side) canvas.width = canvas.height = side;
      canvas.getContext("2d").drawImage(image, n * side, 0, side, side, 0, 0, side, side);
    });
    $("seek").value = at;
    $("time").textContent = `${this.seconds[index].toFixed(2)} s`;
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.x(index));
  }

  play() {
    const last = this.shown.length - 1;
    if (this.at === last) this.at = 0;
    const begin = performance.now(), from = this.seconds[this.shown[this.at]];
    const step = now => {
      const seconds = from + (now - begin) / 1000 * $("speed").value;
      let at = this.at;
      while (at < last && this.seconds[this.shown[at + 1]] <= seconds) at++;
      if (at !== this.at) this.go(at);
      if (at === last) this.pause();
      else this.timer = requestAnimationFrame(step);
    };
    $("play").textContent = "❚❚";
    $("speed").onchange = () => { this.pause(); this.play(); };
    this.timer = requestAnimationFrame(step);
  }

  pause() {
    cancelAnimationFrame(this.timer);
    this.timer = 0;
    $("speed").onchange = null;
    $("play").textContent = "▶";
  }
}

function shape(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
