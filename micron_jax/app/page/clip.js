// A video's result: the player, the curve below it, and the candidates one by one.
import * as closeup from "./closeup.js";
import { classes } from "./classes.js";
import { $, make, percent } from "./dom.js";
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";

let clip = null;

export function close() {
  clip?.player.close();
  clip?.timeline.close();
  clip = null;
}

export function show(result, evidence) {
  const named = result.close_ups.length, px = result.legend.kind === "motion";
  const measure = value => px ? `${value.toFixed(2)} px` : value.toPrecision(2);
  const player = new Player(result, index => clip?.timeline.show(index));
  const go = index => { unloop(); player.goTo(index); };
  clip = { result, evidence, player, chosen: 0, timeline: new Timeline(result, { named, measure, unit: px ? "px" : "", go }) };
  $("timeline").setAttribute("aria-label", `Motion over ${result.seconds.at(-1).toFixed(1)} s, at most `
    + `${measure(Math.max(...result.energy))}; candidates: ${result.intervals.length}`);
  const sure = result.intervals.some(({ confidence }) => confidence !== null);
  $("howfar").textContent = px ? "How far" : "Height";
  $("howsure").textContent = sure ? "Probability" : "Above noise";
  $("candidates").tBodies[0].replaceChildren(
    ...result.intervals.slice(0, named).map((interval, n) => row(interval, n, result.seconds, measure)));
  $("candidates").hidden = $("steps").hidden = !named;
  $("none").hidden = named > 0;
  $("previous").onclick = () => choose(clip.chosen - 1);
  $("next").onclick = () => choose(clip.chosen + 1);
  $("loop").onclick = loop;
  if (named) choose(0);
  else {
    closeup.show(null);
    classes(evidence, result.probabilities.length ? result.probabilities[0] : undefined, "");
    player.goTo(result.energy.indexOf(Math.max(...result.energy)));
  }
}

function row(interval, n, seconds, measure) {
  const [from, to] = [interval.onset, interval.offset].map(i => seconds[i].toFixed(2));
  const sure = interval.confidence === null ? `${interval.strength.toFixed(0)} σ` : percent(interval.confidence);
  const button = make("button", { type: "button", textContent: n + 1, onclick: () => choose(n) });
  button.setAttribute("aria-label", `Candidate ${n + 1}`);
  const cells = [`${from}–${to}`, interval.part, measure(interval.energy), sure];
  return make("tr", { onclick: () => choose(n) }, make("th", { scope: "row" }, button),
    ...cells.map(textContent => make("td", { textContent })));
}

// Goes to a candidate; after the last one comes the first.
function choose(n) {
  const { result, player, timeline, evidence } = clip, count = result.close_ups.length;
  n = clip.chosen = (n + count) % count;
  unloop();
  player.goTo(result.intervals[n].apex);
  timeline.choose(n);
  [...$("candidates").tBodies[0].rows].forEach((line, i) => {
    line.classList.toggle("chosen", i === n);
    line.querySelector("button").setAttribute("aria-current", i === n);
  });
  closeup.show(result.close_ups[n], result.aspect, `candidate ${n + 1}`,
    ["onset", "apex"]);
  classes(evidence, result.probabilities[n], `Candidate ${n + 1}, from its onset to its apex.`);
}

function loop() {
  if ($("loop").getAttribute("aria-pressed") === "true") return unloop();
  const { onset, offset } = clip.result.intervals[clip.chosen];
  $("loop").setAttribute("aria-pressed", true);
  clip.player.loop([onset, offset]);
}

function unloop() {
  $("loop").setAttribute("aria-pressed", false);
  clip?.player.loop(null);
}

const KEYS = {
  " ": () => clip.player.toggle(),
  ArrowLeft: () => clip.player.step(-1),
  ArrowRight: () => clip.player.step(1),
  n: () => $("next").click(),
  p: () => $("previous").click(),
  l: () => $("loop").click(),
};

// Keys work where they mean nothing else.
export function begin() {
  document.addEventListener("keydown", event => {
    const busy = event.target.closest("input, select, textarea, button, summary, a");
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!clip || !act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (busy && !(/^[a-z]$/i.test(event.key) && busy.matches("button, a, summary"))) return;
    if (event.key.length === 1 && event.key !== " " && !clip.result.close_ups.length) return;
    event.preventDefault();
    act();
  });
}
