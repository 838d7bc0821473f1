// A video of the camera of this computer or phone, which becomes a file like any other.
import { $, fail } from "./dom.js";

const SECONDS = 5, BITS = 12e6;  // a second: what codecs leave out is what one looks for
const KINDS = ["video/mp4;codecs=avc1", "video/webm;codecs=vp9", "video/webm;codecs=vp8"];
const WHY = {
  NotAllowedError: "the browser does not let this page use the camera: allow it, and try again",
  NotFoundError: "there is no camera",
  NotReadableError: "the camera is in use by another program",
};
let stream = null, recorder = null;

// `use` gets the file of a recording.
export function begin(use) {
  // Browsers give a camera to pages of this machine, and of https, alone.
  $("camera").hidden = !(navigator.mediaDevices && window.MediaRecorder);
  $("camera").onclick = open;
  $("closecamera").onclick = close;
  $("record").onclick = () => recorder ? recorder.stop() : record(use);
}

async function open() {
  if (stream) return;
  fail("");
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 60 } };
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    fail(WHY[error.name] ?? `the camera cannot be used (${error.name})`);
    return;
  }
  $("recorder").hidden = false;
  $("preview").srcObject = stream;
  $("recording").textContent = "Face the camera in even light. Nothing is recorded yet.";
  $("preview").play();
  $("record").focus();
}

export function close() {
  if (recorder) recorder.onstop = null;
  recorder?.stop();
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = recorder = $("preview").srcObject = null;
  $("record").textContent = `Record ${SECONDS} s`;
  $("recorder").hidden = true;
}

function record(use) {
  const mimeType = KINDS.find(kind => MediaRecorder.isTypeSupported(kind));
  const parts = [], begun = performance.now();
  recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: BITS });
  const timer = setInterval(() => {
    const left = SECONDS - (performance.now() - begun) / 1000;
    if (left <= 0) recorder?.stop();
    else $("recording").textContent = `Recording: ${Math.ceil(left)} s left`;
  }, 100);
  recorder.ondataavailable = event => parts.push(event.data);
  recorder.onerror = () => fail("the recording failed");
  recorder.onstop = () => {
    clearInterval(timer);
    const type = recorder.mimeType, suffix = type.includes("mp4") ? "mp4" : "webm";
    recorder = null;
    close();
    use(new File(parts, `camera.${suffix}`, { type }));
  };
  recorder.start();
  $("record").textContent = "Stop";
}
