// A result, from its title to its files.
import { links, pictureUrl, unpack } from "./archive.js";
import { classes } from "./classes.js";
import * as clip from "./clip.js";
import * as closeup from "./closeup.js";
import { $, make } from "./dom.js";

const FIGURES = {
  "pair.png": "All of the pair", "timeline.png": "Motion over time",
  "moments.png": "Strongest moments", "top_moment.png": "The strongest moment against the frame before it",
};
const MAPS = { motion: "how far it came and went", moved: "where it came and went" };

// `hint`: what one should see, where that is known.
export async function show(result, names, evidence, hint) {
  const isClip = result.input === "clip";
  clip.close();
  $("title").textContent = names.join(" and ");
  $("warnings").replaceChildren(...result.warnings.map(line => make("li", { textContent: line })));
  $("warnings").hidden = !result.warnings.length;
  $("summary").textContent = [isClip ? counts(result) : "", hint].filter(Boolean).join(" ");
  $("summary").hidden = !$("summary").textContent;
  $("views").className = result.input;
  for (const figure of document.querySelectorAll("figure.clip")) figure.hidden = !isClip;
  $("controls").hidden = !isClip;
  $("pair").replaceChildren(...(result.pictures ?? []).map(
    ({ title, src }) => picture(title, src, result.aspect)));
  legend(result);
  $("result").hidden = false;
  if (isClip) clip.show(result, evidence);
  else {
    closeup.show(result.close_up, result.aspect, "one, then the other", ["compared with", "the picture"]);
    classes(evidence, result.probabilities[0], "The first picture as the apex, the other as the onset.");
  }
  const archive = unpack(result.archive);
  $("downloads").replaceChildren(...links(archive, names[0].replace(/\.[^.]*$/, "")));
  await figures(archive.files);
  $("title").focus({ preventScroll: true });
  $("result").scrollIntoView();
}

function counts({ seconds, intervals }) {
  const number = intervals.length, noun = number === 1 ? "candidate" : "candidates";
  return `${seconds.at(-1).toFixed(1)} s, ${number || "no"} ${noun}.`;
}

function legend({ legend: { colors, ticks, label, kind }, close_up, input }) {
  $("maptitle").textContent = MAPS[kind] ?? "what came and went";
  $("label").textContent = kind === "motion" ? "px of a face of 224 px" : label;
  $("scale").querySelector("i").style.background = `linear-gradient(to right, ${colors})`;
  $("ticks").replaceChildren(...ticks.map((textContent, n) =>
    make("span", { textContent: n === ticks.length - 1 && kind === "motion" ? `${textContent}+` : textContent })));
  $("legend").hidden = input === "pair" && !close_up;
}

async function figures(files) {
  const there = Object.keys(FIGURES).filter(name => files.has(name));
  const urls = await Promise.all(there.map(name => pictureUrl(files.get(name))));
  $("figures").replaceChildren(...there.map((name, n) => picture(FIGURES[name], urls[n])));
}

function picture(title, src, aspect) {
  const image = make("img", { src, alt: title });
  if (aspect) image.style.aspectRatio = aspect;
  return make("figure", {}, image, make("figcaption", { textContent: title }));
}
