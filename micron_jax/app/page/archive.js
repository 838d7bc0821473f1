// The zip of a result, and the files in it, which are stored in it as they are.
import { make } from "./dom.js";

const FILE = 0x04034b50, HEAD = 30;  // the mark of a file's head, and its bytes
const KEPT = [
  ["annotated.mp4", "Annotated video (MP4)", "video/mp4"],
  ["intervals.csv", "Candidates (CSV)", "text/csv"],
  ["energy.csv", "Motion of every frame (CSV)", "text/csv"],
  ["pair.png", "Figure (PNG)", "image/png"],
  ["flicker.png", "Flicker (animated PNG)", "image/png"],
];
let urls = [];

// base64 -> { bytes, files: name -> Uint8Array }
export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer), names = new TextDecoder(), files = new Map();
  let at = 0;
  while (view.getUint32(at, true) === FILE) {
    const size = view.getUint32(at + 18, true), length = view.getUint16(at + 26, true);
    const begin = at + HEAD + length + view.getUint16(at + 28, true);
    files.set(names.decode(bytes.subarray(at + HEAD, at + HEAD + length)),
      bytes.subarray(begin, begin + size));
    at = begin + size;
  }
  return { bytes, files };
}

// Links that save single files, and all of them.
export function links({ bytes, files }, name) {
  urls.forEach(URL.revokeObjectURL);
  urls = [];
  const link = (data, type, text, download) => {
    urls.push(URL.createObjectURL(new Blob([data], { type })));
    return make("a", { className: "button", href: urls.at(-1), download, textContent: text });
  };
  const single = KEPT.filter(([file]) => files.has(file)).map(
    ([file, text, type]) => link(files.get(file), type, text, `${name}_${file}`));
  return [...single, link(bytes, "application/zip", "Everything (ZIP)", `${name}.zip`)];
}

// The page may show pictures of `data:` alone.
export function pictureUrl(data) {
  return new Promise(resolve => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(new Blob([data], { type: "image/png" }));
  });
}
