// One result: what the server says of it, and what is worked out from that.

import { rateOf } from './words.js';

const INVENTING = ['tt2v', 'it2v', 'vt2v'];

export class Result {
  constructor(key, label) {
    this.key = key;
    this.label = label;
    const here = `/v1/streams/${key}`;
    this.links = {
      stream: `${here}/stream.cmvc`, video: `${here}/video.mp4`, fragments: `${here}/fragments`, hls: `${here}/hls.m3u8`,
    };
    this.header = null;
    this.segments = [];
    this.frames = 0;
    this.bytes = 0;
    this.shown = 0;
    this.done = false;
    this.notes = [];
    this.means = {};  // by measure, of those that the server was asked for
    this.began = performance.now();
    this.tookSeconds = 0;
  }

  get fps() {
    return this.header ? rateOf(this.header.frame_rate) : 25;
  }

  get seconds() {
    return this.segments.reduce((sum, each) => sum + each.frames, 0) / this.fps;
  }

  get bitsPerSecond() {
    const seconds = this.done ? this.seconds : this.shown;
    return seconds ? (8 * this.bytes) / seconds : 0;
  }

  get meanSsim() {
    const measured = this.segments.filter((each) => each.ssim !== undefined);
    if (!measured.length || measured.length < this.segments.length) return null;
    const frames = measured.reduce((sum, each) => sum + each.frames, 0);
    return measured.reduce((sum, each) => sum + each.ssim * each.frames, 0) / frames;
  }

  get inventedShare() {
    const frames = this.segments.reduce((sum, each) => sum + each.frames, 0) || 1;
    const invented = this.segments.filter((each) => INVENTING.includes(each.mode));
    return invented.reduce((sum, each) => sum + each.frames, 0) / frames;
  }

  rateOf(segment) {
    return (8 * Object.values(segment.bytes).reduce((a, b) => a + b, 0) * this.fps) / segment.frames;
  }

  // Takes what the server has measured.
  score({ measure, mean, segments }) {
    this.means[measure] = mean;
    this.segments.forEach((segment, number) => { segment[measure] = segments[number]; });
  }

  // Takes an event of the server.
  take(event) {
    if (event.event === 'header') {
      this.header = event.header;
      this.profiles = event.profiles;
    } else if (event.event === 'segment') {
      const first = this.segments.reduce((sum, each) => sum + each.frames, 0);
      this.segments.push({ ...event, first });
      this.frames = Math.max(this.frames, first + event.frames);
    } else if (event.event === 'progress') {
      this.frames = Math.max(this.frames, event.frames_total);
      this.bytes = event.bytes;
      this.shown = event.seconds;
    } else if (event.event === 'done') {
      this.done = true;
      this.bytes = event.bytes;
      this.frames = event.frames;
      this.notes = event.notes;
      this.tookSeconds = (performance.now() - this.began) / 1000;
    }
  }
}
