// Looks at each segment of a result as it comes: a few of its frames, and SSIM against the original.

import { padding, ratioOf } from './shape.js';
import { luma, ssim } from './ssim.js';

const THUMB_HEIGHT = 72;
const MEASURE_WIDTH = 256;
const SAMPLES = [0.2, 0.5, 0.8];  // of a segment's frames
const PATIENCE_MS = 60_000;

function once(target, event) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event}`)), PATIENCE_MS);
    target.addEventListener(event, () => { clearTimeout(late); resolve(); }, { once: true });
  });
}

function covers(video, time) {
  for (let n = 0; n < video.buffered.length; n += 1) {
    if (video.buffered.start(n) <= time && time < video.buffered.end(n)) return true;
  }
  return false;
}

async function show(video, time) {
  while (video.readyState < 1 || (time < video.duration && !covers(video, time) && !video.src.startsWith('http'))) {
    if (video.error) throw new Error('it does not play here');
    await new Promise((resolve) => { setTimeout(resolve, 60); });
  }
  const seeked = once(video, 'seeked');
  video.currentTime = Math.min(time, Math.max(0, video.duration - 0.001));
  await seeked;
}

function draw(video, width, height, [wide, high] = [1, 1]) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, 0, 0, video.videoWidth / wide, video.videoHeight / high, 0, 0, width, height);
  return canvas;
}

export class Scout {
  // shown: the player that people see; what it shows first comes before anything here.
  // original: address of the original's bytes for a player, "" where there is none.
  constructor(feed, shown, original, shape, fps, onSeen) {
    this.shape = shape;
    this.fps = fps;
    this.onSeen = onSeen;
    this.queue = [];
    this.stopped = false;
    this.feed = feed;
    this.mine = Object.assign(document.createElement('video'), { muted: true, preload: 'auto' });
    this.theirs = original ? Object.assign(document.createElement('video'), { muted: true, preload: 'auto' }) : null;
    this.working = null;
    const begun = Promise.race(['loadeddata', 'error'].map((event) => once(shown, event)));
    this.begun = begun.catch(() => {}).then(() => {  // late is late: what is asked for next says why
      if (this.stopped) return;
      feed.attach(this.mine);
      if (original) this.theirs.src = original;
    });
  }

  add(segment) {
    this.queue.push(segment);
    this.working ||= this.#work().finally(() => { this.working = null; });
  }

  async #work() {
    await this.begun;
    while (this.queue.length && !this.stopped) {
      const segment = this.queue.shift();
      try {
        await this.#look(segment);
      } catch {
        if (!this.stopped) this.onSeen(segment, {});  // the timeline does without
      }
    }
  }

  async #look(segment) {
    const ratio = ratioOf(this.shape);
    const padded = padding(this.shape);
    const at = (frame) => (segment.first + frame + 0.5) / this.fps;
    const thumbs = [];
    const look = async (frame) => {
      await show(this.mine, at(frame));
      thumbs.push(draw(this.mine, Math.max(1, Math.round(THUMB_HEIGHT * ratio)), THUMB_HEIGHT, padded));
      this.onSeen(segment, { thumbs });
    };
    await look(0);
    const scores = [];
    for (const share of SAMPLES) {
      const frame = Math.min(segment.frames - 1, Math.floor(share * segment.frames));
      await look(frame);
      if (this.theirs && !this.theirs.error) scores.push(await this.#measure(at(frame), ratio, padded));
    }
    if (scores.length) this.onSeen(segment, { thumbs, ssim: scores.reduce((a, b) => a + b) / scores.length });
  }

  async #measure(time, ratio, padded) {
    await show(this.theirs, time);
    const width = Math.min(MEASURE_WIDTH, this.theirs.videoWidth);
    const height = Math.max(1, Math.round(width / ratio));
    const pictures = [draw(this.mine, width, height, padded), draw(this.theirs, width, height)];
    const [a, b] = pictures.map((each) => luma(each.getContext('2d').getImageData(0, 0, width, height).data));
    return ssim(a, b, width, height);
  }

  stop() {
    this.stopped = true;
    this.feed.detach(this.mine);
    if (this.theirs) this.theirs.removeAttribute('src');
  }
}
