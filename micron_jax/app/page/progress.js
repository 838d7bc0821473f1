// How far the work is: one bar, the time that is left, and now and then a word for screen readers.
import { $, duration } from "./dom.js";

const ENOUGH = 0.04, EVERY = 10_000;  // of the work, before its speed is judged; milliseconds
let begun = 0, first = 0, spoken = 0;

export function start() {
  begun = spoken = 0;
  $("working").hidden = false;
}

export function end() {
  $("working").hidden = true;
  $("announced").textContent = "";
}

export function progress({ doing, share }) {
  const now = performance.now();
  $("doing").textContent = share ? `${doing[0].toUpperCase()}${doing.slice(1)}` : `${doing} …`;
  if (share === undefined) {
    $("progress").removeAttribute("value");
    $("left").textContent = "";
  } else {
    if (!begun) [begun, first] = [now, share];
    $("progress").value = share;
    $("left").textContent = left(now, share);
  }
  if (now - spoken > EVERY) {
    spoken = now;
    $("announced").textContent = [doing, $("left").textContent].filter(Boolean).join(", ");
  }
}

function left(now, share) {
  const seconds = (now - begun) / 1000, part = share - first;
  if (part < ENOUGH || seconds < 2) return "";
  const rest = seconds * (1 - share) / part;
  // Nobody wants to see a second that jumps.
  const rough = rest < 10 ? Math.ceil(rest) : rest < 60 ? 5 * Math.ceil(rest / 5)
    : rest < 600 ? 30 * Math.ceil(rest / 30) : 60 * Math.ceil(rest / 60);
  return `about ${duration(rough)} left`;
}
