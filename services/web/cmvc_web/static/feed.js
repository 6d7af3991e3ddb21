// A result's video, fetched once as it is decoded, for any number of players of this page.

const RETRIES = 6;
const Source = window.ManagedMediaSource || window.MediaSource;

export class Feed {
  constructor(links) {
    this.links = links;
    this.parts = [];
    this.bytes = 0;
    this.type = '';
    this.ended = false;
    this.error = null;
    this.sinks = new Set();
    this.stopping = new AbortController();
    this.done = this.#fetch();
    this.done.catch(() => {});
  }

  async #fetch() {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.#read();
        break;
      } catch (error) {
        if (this.stopping.signal.aborted || error.final || attempt >= RETRIES) {
          this.error = error;
          throw error;
        }
        await new Promise((resolve) => { setTimeout(resolve, 200 * 2 ** attempt); });
      }
    }
    this.ended = true;
    this.#pump();
  }

  // Reads from the start; after a cut it passes over what is here already, which comes again bit for bit.
  async #read() {
    const response = await fetch(this.links.fragments, { signal: this.stopping.signal });
    if (!response.ok) {
      const text = await response.text();
      const error = new Error(text.startsWith('{') ? JSON.parse(text).error.message : `the server answered ${response.status}`);
      error.final = response.status !== 429 && response.status !== 503;
      throw error;
    }
    this.type = response.headers.get('content-type');
    let passed = 0;
    const reader = response.body.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const fresh = value.subarray(Math.max(0, Math.min(value.length, this.bytes - passed)));
      passed += value.length;
      if (fresh.length) {
        this.parts.push(fresh);
        this.bytes += fresh.length;
        this.#pump();
      }
    }
  }

  // Shows the video in an element.
  attach(video) {
    if (!Source) {
      video.src = this.links.hls;
      return;
    }
    const sink = { video, next: 0, source: new Source(), buffer: null };
    video.disableRemotePlayback = true;  // which ManagedMediaSource asks for
    sink.source.addEventListener('sourceopen', () => this.#open(sink), { once: true });
    sink.url = URL.createObjectURL(sink.source);
    video.src = sink.url;
    this.sinks.add(sink);
  }

  detach(video) {
    for (const sink of this.sinks) {
      if (sink.video === video) {
        this.sinks.delete(sink);
        URL.revokeObjectURL(sink.url);
      }
    }
    video.removeAttribute('src');
    video.load();
  }

  #open(sink) {
    if (!this.type) {
      sink.waiting = true;
      return;
    }
    sink.waiting = false;
    if (!Source.isTypeSupported(this.type)) {
      sink.video.src = this.links.video;
      this.sinks.delete(sink);
      return;
    }
    sink.buffer = sink.source.addSourceBuffer(this.type);
    sink.buffer.addEventListener('updateend', () => this.#fill(sink));
    this.#fill(sink);
  }

  #pump() {
    for (const sink of this.sinks) {
      if (sink.waiting) this.#open(sink);
      else if (sink.buffer) this.#fill(sink);
    }
  }

  #fill(sink) {
    if (!sink.buffer || sink.buffer.updating || sink.source.readyState !== 'open') return;
    if (sink.next < this.parts.length) {
      try {
        sink.buffer.appendBuffer(this.parts[sink.next]);
        sink.next += 1;
      } catch {  // more than the browser holds: let it fetch what it needs by itself
        this.sinks.delete(sink);
        sink.video.src = this.links.video;
      }
    } else if (this.ended) {
      sink.source.endOfStream();
    }
  }

  stop() {
    this.stopping.abort();
    for (const sink of [...this.sinks]) this.detach(sink.video);
    this.parts = [];
  }
}
