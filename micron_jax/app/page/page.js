// The page: files go to the server, and its answer becomes a result, a question or an error.
import * as camera from "./camera.js";
import * as clip from "./clip.js";
import * as closeup from "./closeup.js";
import { $, duration, fail, make } from "./dom.js";
import { begin, choose, chosen, lock } from "./files.js";
import { end, start } from "./progress.js";
import { send } from "./request.js";
import { show } from "./result.js";

const MAPS = {
  motion: "how far the skin moved, px", moved: "how likely it moved",
  symmetric: "the attention's change, both ways", cosine: "the features' change",
  release: "the map of the PyTorch release",
};
const EXAMPLE = "example.mp4";
const HINT = "A drawn face, of nobody: its brows rise from 0.70 to 1.10 s, a corner of its mouth from 2.27 to "
  + "2.67 s, and between the two it blinks.";
let evidence, request = null, example = null;

const facts = await (await fetch("facts")).json();
evidence = facts.classifier;
$("checkpoint").textContent = facts.name;
$("limits").textContent = `at most ${facts.megabytes} MB, and ${duration(facts.seconds)} of a video`;
$("kind").append(...facts.maps.map(value => make("option", { value, textContent: MAPS[value] })));
begin(facts.megabytes);
closeup.begin();
clip.begin();
camera.begin(file => { if (choose([file])) look(); });
$("form").onsubmit = event => { event.preventDefault(); look(); };
$("stop").onclick = () => request?.abort();
$("example").onclick = async () => {
  camera.close();
  const answer = await fetch(EXAMPLE).catch(() => null);
  if (!answer?.ok) return fail("the server does not answer: is it running?");
  example = new File([await answer.blob()], EXAMPLE, { type: "video/mp4" });
  if (choose([example])) look();
};

// `seconds` of a video; none: all of it, or the server asks.
async function look(seconds = "") {
  const files = chosen();
  request = new AbortController();
  camera.close();
  fail("");
  $("long").hidden = true;
  busy(true);
  const settings = { crop: $("crop").value, map: $("kind").value, seconds };
  const { result, error } = await send(files, settings, request.signal);
  request = null;
  busy(false);
  if (error) fail(error);
  else if (result.input === "long") ask(result);
  else await show(result, files.map(file => file.name), evidence, files[0] === example ? HINT : "");
}

function busy(yes) {
  if (yes) start();
  else end();
  $("stop").hidden = !yes;
  lock(yes);
}

function ask({ seconds, offers }) {
  $("howlong").textContent = `This video lasts ${duration(seconds)}. `
    + "Looking at it takes longer than playing it: how much of it do you want?";
  $("offers").replaceChildren(...offers.map(offer => {
    const all = offer >= seconds, textContent = all ? "All of it" : `The first ${duration(offer)}`;
    return make("button", { type: "button", textContent, onclick: () => look(offer) });
  }));
  $("long").hidden = false;
  $("long").focus();
}
