// Files to look at: one video, or two pictures, which may come one after the other.
import { $, fail, make } from "./dom.js";

const PICTURE = /\.(bmp|jpe?g|png|tiff?|webp)$/i;
let files = [], most = Infinity, locked = false;

export const chosen = () => files;
export const ready = () =>
  files.length === 2 || (files.length === 1 && !PICTURE.test(files[0].name));

export function choose(fresh) {
  const both = [...files, ...fresh];
  if (!fresh.length || locked) return false;
  files = both.length === 2 && both.every(file => PICTURE.test(file.name)) ? both : [...fresh];
  showChosen();
  return true;
}

// While a request is under way, no other files are taken.
export function lock(yes) {
  locked = yes;
  $("swap").hidden = yes || files.length !== 2;
  $("go").disabled = yes || !ready() || tooLarge();
  for (const id of ["example", "camera"]) $(id).disabled = yes;
}

const size = () => files.reduce((sum, file) => sum + file.size, 0);
const tooLarge = () => size() > most * 1e6;

function showChosen() {
  const roles = files.length === 1 && ready() ? [""] : ["picture: ", "compared with: "];
  const lines = files.map((file, n) => {
    const megabytes = (file.size / 1e6).toFixed(file.size < 1e7 ? 2 : 0);
    return make("li", { textContent: `${roles[n] ?? ""}${file.name} (${megabytes} MB)` });
  });
  if (files.length === 1 && !ready()) {
    lines.push(make("li", { textContent: "choose a second picture", className: "soft" }));
  }
  $("chosen").replaceChildren(...lines);
  $("chosen").hidden = !files.length;
  $("long").hidden = true;
  if (tooLarge()) {
    fail(`files of ${(size() / 1e6).toFixed(1)} MB; at most ${most} MB, the app's max-mb`);
  } else {
    fail(files.length > 2 ? "give one video, or two pictures of one face" : "");
  }
  lock(locked);
}

export function begin(megabytes) {
  most = megabytes;
  $("files").onchange = () => { choose([...$("files").files]); $("files").value = ""; };
  for (const name of ["dragover", "dragleave", "drop"]) {
    addEventListener(name, event => {
      event.preventDefault();
      $("drop").classList.toggle("over", name === "dragover");
      if (name === "drop") choose([...event.dataTransfer.files]);
    });
  }
  $("swap").onclick = () => { files.reverse(); showChosen(); };
}
