// A candidate as the eye sees it best: onset and apex in turn, or the motion several times as large.
import { $, make } from "./dom.js";

const TURN = 450, STEP = 80, REST = 400;  // milliseconds
let closeup = null, timer = 0, way = "flicker", held = false;

export function begin() {
  held = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("flicker").onclick = () => { way = "flicker"; play(); };
  $("magnify").onclick = () => { way = "magnify"; play(); };
  $("hold").onclick = () => { held = !held; play(); };
}

// `title` names what is shown, `words` the two pictures; no data: there is no close-up.
export function show(data, aspect, title, words) {
  $("closeup").hidden = $("closeways").hidden = !data;
  clearTimeout(timer);
  closeup = null;
  if (!data) return;
  closeup = { title, words, factor: data.factor };
  for (const name of ["flicker", "magnified"]) closeup[name] = data[name].map(src => make("img", { src }));
  $("close").style.aspectRatio = aspect;
  $("magnify").hidden = !closeup.magnified.length;
  $("magnify").textContent = `Motion × ${data.factor}`;
  if ($("magnify").hidden) way = "flicker";
  play();
}

function play() {
  clearTimeout(timer);
  const large = way === "magnify", { title, factor } = closeup;
  $("flicker").setAttribute("aria-pressed", !large);
  $("magnify").setAttribute("aria-pressed", large);
  $("hold").setAttribute("aria-pressed", held);
  $("closetitle").textContent = large ? `${title}, motion × ${factor}` : title;
  const there = large ? closeup.magnified : closeup.flicker;
  const pictures = large ? [...there, ...there.slice(1, -1).reverse()] : there;
  const last = there.length - 1;
  // Held, the picture of the apex stays.
  if (held) return draw(pictures[last], large ? "" : closeup.words[1]);
  turn(pictures, n => large ? (n % last ? STEP : REST) : TURN, 0);
}

function turn(pictures, pause, n) {
  draw(pictures[n], way === "flicker" ? closeup.words[n] : "");
  timer = setTimeout(() => turn(pictures, pause, (n + 1) % pictures.length), pause(n));
}

async function draw(image, word) {
  await image.decode();
  const canvas = $("close"), side = image.naturalHeight;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  if (!word) return;
  context.font = `600 ${side / 16}px system-ui, sans-serif`;
  context.lineWidth = side / 80;
  context.strokeStyle = "#000";
  context.fillStyle = "#fff";
  context.strokeText(word, side / 28, side - side / 28);
  context.fillText(word, side / 28, side - side / 28);
}
