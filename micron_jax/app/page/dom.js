// Elements of the page: found by their id, made, and drawn in SVG.
export const $ = id => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function shape(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

export function fail(line) {
  $("error").textContent = line;
  $("error").hidden = !line;
}

export const percent = share => `${Math.round(100 * share)}\u00a0%`;

// 75 -> "1 min 15 s"
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds)), minutes = Math.floor(whole / 60);
  if (!minutes) return `${whole} s`;
  return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
}
