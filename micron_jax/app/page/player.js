// Face and map, frame by frame; `shown` are the indices of the frames that are there.
import { $, make } from "./dom.js";
import { nearest } from "./timeline.js";

export class Player {
  // `moved` gets the index of each frame that is shown.
  constructor(result, moved) {
    Object.assign(this, result, { moved, at: 0, timer: 0, span: null });
    this.images = this.frames.map(src => make("img", { src }));
    for (const id of ["face", "map"]) $(id).style.aspectRatio = this.aspect;
    $("seek").max = this.shown.length - 1;
    $("seek").oninput = () => { this.pause(); this.go(+$("seek").value); };
    $("play").onclick = () => this.toggle();
    $("speed").onchange = () => { if (this.timer) { this.pause(); this.play(); } };
    this.pause();
  }

  goTo(index) {
    this.pause();
    this.go(nearest(this.shown, index));
  }

  step(by) {
    this.pause();
    this.go(Math.min(Math.max(0, this.at + by), this.shown.length - 1));
  }

  async go(at) {
    this.at = at;
    const index = this.shown[at], image = this.images[at];
    await image.decode();
    if (this.at !== at || this.closed) return;  // another frame is wanted by now
    const side = image.naturalHeight;
    ["face", "map"].forEach((id, n) => {
      const canvas = $(id);
      if (canvas.width !== side) canvas.width = canvas.height = side;
      canvas.getContext("2d").drawImage(image, n * side, 0, side, side, 0, 0, side, side);
    });
    const time = `${this.seconds[index].toFixed(2)} s`;
    $("seek").value = at;
    $("seek").setAttribute("aria-valuetext", time);
    $("time").textContent = time;
    this.moved(index);
  }

  // Over and over from one index to another; null: to the end, once.
  loop(span) {
    this.pause();
    this.span = span && span.map(index => nearest(this.shown, index));
    if (span) this.play();
  }

  toggle() {
    if (this.timer) this.pause();
    else this.play();
  }

  play() {
    const [first, last] = this.span ?? [0, this.shown.length - 1];
    if (this.at >= last || this.at < first) this.at = first;
    let begin = performance.now(), from = this.seconds[this.shown[this.at]];
    const step = now => {
      const seconds = from + (now - begin) / 1000 * $("speed").value;
      let at = this.at;
      while (at < last && this.seconds[this.shown[at + 1]] <= seconds) at++;
      const over = at === last && this.span;
      if (over && seconds > this.seconds[this.shown[last]] + .1) {
        [at, begin, from] = [first, now, this.seconds[this.shown[first]]];
      }
      if (at !== this.at) this.go(at);
      if (at === last && !over) this.pause();
      else this.timer = requestAnimationFrame(step);
    };
    this.go(this.at);
    $("play").textContent = "❚❚";
    $("play").setAttribute("aria-label", "Pause");
    this.timer = requestAnimationFrame(step);
  }

  pause() {
    cancelAnimationFrame(this.timer);
    this.timer = 0;
    $("play").textContent = "▶";
    $("play").setAttribute("aria-label", "Play");
  }

  close() {
    this.pause();
    this.closed = true;
  }
}
