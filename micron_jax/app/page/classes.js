// The classifier's probabilities, and what they are worth: its figures on people it had not seen.
import { $, make, percent } from "./dom.js";

const SPLITS = {
  subjects: "one subject left out at a time", groups: "subjects left out in groups",
  sets: "a whole data set left out",
};
const span = ([low, high]) => `${low.toFixed(2)} to ${high.toFixed(2)}`;

// `probabilities`: undefined where there is no classifier, null where nothing moved.
export function classes(evidence, probabilities, which) {
  $("classes").hidden = probabilities === undefined;
  if (probabilities === undefined) return;
  $("which").textContent = probabilities ? which : "Nothing moved beyond the noise: no class.";
  $("worth").textContent = worth(evidence);
  $("rows").replaceChildren(...(probabilities ? rows(evidence, probabilities) : []));
  $("evidence").textContent = details(evidence);
}

function worth({ classes, uar, subjects }) {
  return `Classifiers trained alike recognized ${percent(uar)} of the clips of ${subjects} people that `
    + `they had not seen, averaged over the ${classes.length} classes; a guess gets `
    + `${percent(1 / classes.length)}.`;
}

function rows(evidence, probabilities) {
  const largest = Math.max(...probabilities);
  return evidence.classes.map((name, n) => {
    const bar = make("i"), cell = make("td", { textContent: percent(probabilities[n]) }, bar);
    bar.style.width = `${100 * probabilities[n]}%`;
    const { recall, precision } = evidence.per_class[name];
    const others = [recall, precision].map(x => make("td", { textContent: percent(x) }));
    return make("tr", { className: probabilities[n] === largest ? "likely" : "" },
      make("th", { textContent: name, scope: "row" }), cell, ...others);
  });
}

function details(evidence) {
  const interval = evidence.intervals ? ` (95 % over subjects ${span(evidence.intervals.uf1)})` : "";
  const unmoved = evidence.no_class ? `In ${evidence.no_class} of the ${evidence.samples} clips `
    + "nothing moved beyond the noise: these figures have a class for them, here they get none. " : "";
  return `Protocol ${evidence.protocol}, ${SPLITS[evidence.split] ?? evidence.split}: on `
    + `${evidence.subjects} subjects that they had not seen, classifiers trained alike had UF1 `
    + `${evidence.uf1.toFixed(2)}${interval} and UAR ${evidence.uar.toFixed(2)}. Found: the share of `
    + "a class's clips that they recognized; right: the share of clips that they gave this class and "
    + `that are of it. ${unmoved}A blink gets a class, too. They learned from `
    + `${evidence.crop === "face" ? "aligned faces" : "whole frames of their set"}.`;
}
