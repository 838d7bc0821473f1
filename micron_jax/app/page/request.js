// A request to the server: files go there, lines of JSON come back.
import { progress } from "./progress.js";

// -> the last line: a result, or an error; `settings` are the form's fields.
export async function send(files, settings, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  for (const [name, value] of Object.entries(settings)) form.append(name, value);
  progress({ doing: "sending" });
  try {
    // No browser reads its place before it has sent its files, which the server may leave waiting.
    const { requests } = await (await fetch("facts")).json();
    if (requests) progress({ doing: `sending (requests before it: ${requests})` });
    const answer = await fetch("visualize", { method: "POST", body: form, signal });
    const last = await follow(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    return last.result || last.error ? last : { error: "the server has stopped" };
  } catch (error) {
    const stopped = error.name === "AbortError";
    return { error: stopped ? "stopped" : "the server does not answer: is it running?" };
  }
}

// Progress as it comes, a JSON object a line; -> the last one.
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
