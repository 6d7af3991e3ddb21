// Players in step: the original and results, under a slider, side by side, or all at once.

import { padding, ratioOf } from './shape.js';

const FAR_SECONDS = 0.25;   // apart: jump
const NEAR_SECONDS = 0.015; // apart: go a little faster or slower
const MOST_HASTE = 0.08;

export class Deck {
  constructor(stage) {
    this.stage = stage;
    this.players = new Map();
    this.view = 'wipe';
    this.left = '';
    this.right = '';
    this.fps = 25;
    this.frames = 0;
    this.wanted = 0;
    this.playing = false;
    this.loud = false;
    this.onTime = () => {};
    this.onState = () => {};
    this.wipe = document.createElement('input');
    Object.assign(this.wipe, { type: 'range', min: 0, max: 100, step: 0.5, value: 50, className: 'wipe' });
    this.wipe.setAttribute('aria-label', 'How much of the left picture is shown, in percent');
    this.wipe.addEventListener('input', () => this.setWipe(Number(this.wipe.value)));
    this.line = Object.assign(document.createElement('div'), { className: 'wipe-line' });
    this.line.setAttribute('aria-hidden', 'true');
    stage.append(this.line, this.wipe);
    stage.addEventListener('pointerdown', (event) => this.#drag(event));
    this.setWipe(50);
    requestAnimationFrame(() => this.#tick());
  }

  add(key, label, attach) {
    const figure = Object.assign(document.createElement('figure'), { className: 'player', hidden: true });
    const crop = Object.assign(document.createElement('div'), { className: 'crop' });
    const video = Object.assign(document.createElement('video'), { playsInline: true, muted: true, preload: 'auto' });
    video.setAttribute('aria-label', label);
    const caption = Object.assign(document.createElement('figcaption'), { textContent: label });
    crop.append(video);
    figure.append(crop, caption);
    this.stage.insertBefore(figure, this.line);
    this.players.set(key, { key, figure, video, crop, caption, shape: null });
    video.addEventListener('loadedmetadata', () => this.#fit(this.players.get(key)));
    video.addEventListener('loadeddata', () => { if (!this.playing) this.seek(this.wanted); });
    attach(video);
    return video;
  }

  shape(key, shape) {
    const player = this.players.get(key);
    if (player) {
      player.shape = shape;
      this.#fit(player);
    }
  }

  label(key, label) {
    const player = this.players.get(key);
    if (player) player.caption.textContent = label;
  }

  remove(key) {
    const player = this.players.get(key);
    if (!player) return;
    player.video.pause();
    player.figure.remove();
    this.players.delete(key);
    const rest = [...this.players.keys()];
    if (this.left === key) this.left = rest[0] || '';
    if (this.right === key) this.right = rest.at(-1) || '';
    this.show();
  }

  #fit(player) {
    const { video, shape, crop } = player;
    if (!video.videoWidth) return;
    const [wide, high] = shape ? padding(shape) : [1, 1];
    const ratio = shape ? ratioOf(shape) : video.videoWidth / video.videoHeight;
    crop.style.aspectRatio = ratio;
    video.style.width = `${100 * wide}%`;
    video.style.height = `${100 * high}%`;
    if (player.key === this.left || this.players.size === 1) this.stage.style.setProperty('--ratio', ratio);
  }

  get visible() {
    const keys = this.view === 'all' ? [...this.players.keys()] : [...new Set([this.left, this.right])];
    return keys.map((key) => this.players.get(key)).filter(Boolean);
  }

  get frame() {
    const master = this.visible[0];
    return master ? Math.min(Math.max(0, Math.floor(master.video.currentTime * this.fps + 1e-3)), Math.max(0, this.frames - 1)) : 0;
  }

  show(changes = {}) {
    Object.assign(this, changes);
    const shown = this.visible;
    this.stage.dataset.view = shown.length < 2 && this.view === 'wipe' ? 'one' : this.view;
    this.stage.style.setProperty('--count', shown.length);
    this.stage.style.setProperty('--columns', shown.length < 4 ? shown.length : shown.length === 4 ? 2 : 3);
    for (const player of this.players.values()) {
      player.figure.hidden = !shown.includes(player);
      player.figure.dataset.side = player.key === this.left ? 'left' : player.key === this.right ? 'right' : '';
      player.figure.style.order = shown.indexOf(player);
      if (player.figure.hidden) player.video.pause();
      this.#fit(player);
    }
    this.wipe.hidden = this.line.hidden = this.stage.dataset.view !== 'wipe';
    this.setLoud(this.loud);
    if (!this.playing) this.seek(this.wanted);
    this.onState();
  }

  setWipe(percent) {
    this.wipe.value = percent;
    this.stage.style.setProperty('--wipe', `${percent}%`);
  }

  #drag(event) {
    if (this.stage.dataset.view !== 'wipe' || event.target === this.wipe) return;
    const move = (at) => {
      const box = this.stage.getBoundingClientRect();
      this.setWipe(Math.min(100, Math.max(0, (100 * (at.clientX - box.left)) / box.width)));
    };
    move(event);
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener('pointermove', move);
    this.stage.addEventListener('pointerup', () => this.stage.removeEventListener('pointermove', move), { once: true });
    this.stage.addEventListener('pointercancel', () => this.stage.removeEventListener('pointermove', move), { once: true });
  }

  setLoud(loud) {
    this.loud = loud;
    for (const player of this.players.values()) player.video.muted = !(loud && player.key === this.right);
    this.onState();
  }

  play() {
    if (this.frame >= this.frames - 1) this.seek(0);
    this.playing = true;
    this.onState();
  }

  pause() {
    this.playing = false;
    for (const { video } of this.players.values()) video.pause();
    this.seek(this.frame);
    this.onState();
  }

  step(frames) {
    if (this.playing) this.pause();
    this.seek(this.wanted + frames);
  }

  // To the middle of a frame, where no rounding makes it another.
  seek(frame) {
    this.wanted = Math.min(Math.max(0, frame), Math.max(0, this.frames - 1));
    for (const { video } of this.visible) video.currentTime = this.#middle;
    this.onTime(this.wanted);
  }

  get #middle() {
    return (this.wanted + 0.5) / this.fps;
  }

  // A video that is still made goes no further than there is of it: it is taken on once there is more.
  #hold() {
    for (const { video } of this.visible) {
      const apart = Math.abs(video.currentTime - this.#middle);
      if (apart > 0.5 / this.fps && !video.seeking && video.duration > this.#middle) video.currentTime = this.#middle;
    }
  }

  #tick() {
    if (this.playing) this.#keepStep();
    else this.#hold();
    requestAnimationFrame(() => this.#tick());
  }

  #keepStep() {
    const videos = this.visible.map((player) => player.video);
    if (!videos.length) return;
    const [master, ...others] = videos;
    this.onTime(this.frame);
    if (master.ended || this.frame >= this.frames - 1) {
      this.seek(0);
      return;
    }
    const starving = videos.some((video) => video.readyState < 3 && !video.ended && !video.error);
    for (const video of videos) {
      if (starving) video.pause();
      else if (video.paused && !video.ended) video.play().catch(() => {});
    }
    for (const video of others) {
      const apart = video.currentTime - master.currentTime;
      if (Math.abs(apart) > FAR_SECONDS && !video.seeking) video.currentTime = master.currentTime;
      const haste = Math.abs(apart) > NEAR_SECONDS ? Math.max(-MOST_HASTE, Math.min(MOST_HASTE, apart)) : 0;
      video.playbackRate = 1 - haste;
    }
  }
}
