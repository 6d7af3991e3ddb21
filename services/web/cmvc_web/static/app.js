// The page: what is opened, encoded, and shown.

import { ask, newId, send } from './api.js';
import { Deck } from './deck.js';
import { Feed } from './feed.js';
import { Result } from './result.js';
import { Scout } from './scout.js';
import { isOdd, shapeOf } from './shape.js';
import { Tracks, comparison, inspect, legend } from './tracks.js';
import { MEASURES, MODES, bytes, clock, kbits } from './words.js';

const $ = (id) => document.getElementById(id);
const LEAST_RATE = 1000;
const MOST_RATE = 200_000;

const deck = new Deck($('stage'));
const tracks = new Tracks($('tracks'), { pick, choose, remove, score });
const results = new Map();
let source = null;   // {file, url}: the original, where there is one
let running = null;  // the call under way

// --- what is said ---------------------------------------------------------------------------------------------------

function say(text) {
  $('status').textContent = text;
}

function trouble(error) {
  const box = $('trouble');
  box.hidden = !error;
  if (!error) return;
  const [what, ...toDo] = error.message.split('; ');
  box.replaceChildren(Object.assign(document.createElement('strong'), { textContent: what }));
  if (toDo.length) box.append(Object.assign(document.createElement('span'), { textContent: ` ${toDo.join('; ')}` }));
}

function note(text) {
  $('note').hidden = !text;
  $('note').textContent = text || '';
}

// A note of the server as a sentence, without the code before it.
function plain(text) {
  const sentence = text.replace(/^[A-Za-z][A-Za-z_-]+: /, '');
  return `${sentence[0].toUpperCase()}${sentence.slice(1)}.`;
}

// --- opening --------------------------------------------------------------------------------------------------------

function open(file) {
  trouble(null);
  reset();
  $('welcome').hidden = true;
  $('player').hidden = false;
  $('open').hidden = false;
  $('tracks-area').hidden = false;
  if (file.name.toLowerCase().endsWith('.cmvc')) {
    openStream(file);
    return;
  }
  source = { file, url: URL.createObjectURL(file) };
  $('encode').disabled = false;
  tracks.addOriginal(file.name, file.size);
  const video = deck.add('original', 'Original', (element) => { element.src = source.url; });
  video.addEventListener('loadedmetadata', () => {
    if (Number.isFinite(video.duration)) tracks.originalLasts(video.duration);
    if (!results.size) deck.frames = Math.floor(video.duration * deck.fps);
    compare();
  });
  video.addEventListener('error', () => {
    deck.remove('original');
    source.unseen = true;
    note('This browser cannot play the original. It can be encoded all the same; results are shown alone and are not measured.');
    pickDefaults();
  });
  deck.show({ left: 'original', right: 'original' });
  tracks.picked('original', 'original');
  say(`${file.name} is open. Choose a mode and encode.`);
  $('encode').focus({ preventScroll: true });
}

function reset() {
  running?.call.abort();
  deck.pause();
  for (const result of [...results.values()]) remove(result);
  deck.remove('original');
  tracks.clear();
  if (source) URL.revokeObjectURL(source.url);
  source = null;
  deck.frames = 0;
  $('encode').disabled = true;
  $('inspector').hidden = true;
  $('table').hidden = true;
  note('');
}

async function openDemo(path) {
  try {
    const blob = await (await ask(path)).blob();
    open(new File([blob], path.split('/').pop(), { type: 'video/mp4' }));
  } catch (error) {
    trouble(error);
  }
}

// --- encoding -------------------------------------------------------------------------------------------------------

function rate() {
  const share = Number($('rate').value) / Number($('rate').max);
  const value = LEAST_RATE * (MOST_RATE / LEAST_RATE) ** share;
  const step = 10 ** Math.max(2, Math.floor(Math.log10(value)) - 1);
  return Math.round(value / step) * step;
}

function settings() {
  const form = new FormData($('settings'));
  const chosen = { mode: form.get('mode'), effort: $('effort').value, audio: $('audio').value };
  if (form.get('aim') === 'quality') chosen.quality = $('quality').value;
  else chosen.bitrate = rate();
  if ($('profile').value !== 'embedded') chosen.profile = $('profile').value;
  return chosen;
}

function labelOf(chosen) {
  const aim = chosen.quality ? `quality ${chosen.quality}` : kbits(chosen.bitrate);
  const effort = chosen.effort === 'default' ? '' : `, ${chosen.effort}`;
  return `${MODES[chosen.mode].name}, ${aim}${effort}`;
}

function encode() {
  const chosen = settings();
  const parameters = new URLSearchParams({ ...chosen, name: source.file.name });
  make('/v1/encode', source.file, parameters, labelOf(chosen));
}

function openStream(file) {
  make('/v1/streams', file, new URLSearchParams({ name: file.name }), file.name);
}

async function make(path, file, parameters, label) {
  trouble(null);
  const key = newId();
  parameters.set('id', key);
  const result = new Result(key, label);
  const call = send(`${path}?${parameters}`, file, (event) => take(result, event), (share) => sent(file, share));
  running = { call, result };
  busy(true);
  try {
    await call.done;
    if (!result.done) throw new Error('the answer ended early; try again');
    say(`${label}: done, ${bytes(result.bytes)}, ${kbits(result.bitsPerSecond)}.`);
  } catch (error) {
    remove(result);
    if (error.reason === 'CANCELLED') say('Cancelled.');
    else trouble(error);
  } finally {
    if (running?.result === result) running = null;
    busy(Boolean(running));
  }
}

function busy(is) {
  $('encode').hidden = is;
  $('cancel').hidden = !is;
  $('progress').hidden = !is;
  if (is) {
    progress(0, 'Sending');
    $('cancel').focus({ preventScroll: true });
  } else if (document.activeElement === document.body || document.activeElement === $('cancel')) {
    $('encode').focus({ preventScroll: true });
  }
}

function progress(share, text) {
  $('bar').setAttribute('aria-valuenow', Math.round(100 * share));
  $('bar').firstElementChild.style.width = `${100 * share}%`;
  $('progress-says').textContent = text;
}

function sent(file, share) {
  progress(0, share < 1 ? `Sending: ${Math.round(100 * share)} % of ${bytes(file.size)}` : 'Looking at the video');
}

function take(result, event) {
  result.take(event);
  if (event.event === 'error') {
    trouble(event.error);
    result.failed = true;
  } else if (event.event === 'header') {
    begin(result);
  } else if (event.event === 'segment') {
    tracks.update(result);
    result.scout.add(result.segments.at(-1));
    lengthen(result);
  } else if (event.event === 'progress') {
    const seconds = (performance.now() - result.began) / 1000;
    const speed = seconds > 1 ? `, ${(event.seconds / seconds).toFixed(1)}× real time` : '';
    const share = event.frames_total ? event.frames / event.frames_total : 0;
    const of = event.frames_total ? ` of ${event.frames_total}` : '';
    if (event.frames) progress(share, `${event.frames}${of} frames · ${kbits(result.bitsPerSecond)}${speed}`);
    else progress(0, `Looking at the video: ${event.frames_read}${of} frames read`);
    if (tracks.rows.has(result.key)) tracks.update(result);
  } else if (event.event === 'done') {
    finish(result);
  }
}

// The header is there: the result gets a track and a player, which shows segments as they come.
function begin(result) {
  results.set(result.key, result);
  result.feed = new Feed(result.links);
  result.shape = shapeOf(result.header);
  deck.fps = result.fps;
  tracks.add(result);
  const shown = deck.add(result.key, result.label, (video) => result.feed.attach(video));
  deck.shape(result.key, result.shape);
  const original = source && !source.unseen ? source.url : '';
  result.scout = new Scout(result.feed, shown, original, result.shape, result.fps, (segment, seen) => {
    tracks.seen(result, segment, seen);
    compare();
  });
  result.feed.done.catch((error) => {
    if (results.has(result.key)) trouble(error);
  });
  if (isOdd(result.shape)) {
    note(`The picture has ${result.header.width}×${result.header.height} pixels. Players want even sides: the MP4 here has one more row or column, which this page crops. 'cmvc decode' gives the exact size.`);
  }
  pick('right', result.key);
  $('stage').scrollIntoView({ block: 'nearest' });  // on a phone the settings are far below it
  if (!source || source.unseen) pick('left', [...results.keys()].at(-2) || result.key);
}

function lengthen(result) {
  deck.frames = Math.max(deck.frames, result.segments.reduce((sum, each) => sum + each.frames, 0));
  if (source === null || results.size === 1) deck.frames = Math.max(result.frames, 1);
  $('seek').max = Math.max(1, deck.frames - 1);
}

function finish(result) {
  tracks.update(result);
  lengthen(result);
  compare();
  if (result.notes.length) note(result.notes.map(plain).join(' '));
  if (!deck.playing && result.segments.length) choose(result, result.segments[0], false);
}

function compare() {
  comparison($('table'), [...results.values()], tracks.rows.get('original')?.rate);
}

// Has the server measure a result; returns whether it could.
async function score(result, measure) {
  trouble(null);
  say(`Measuring ${MEASURES[measure].name} of ${result.label}.`);
  try {
    const path = `/v1/streams/${result.key}/scores?measure=${measure}`;
    result.score(await (await ask(path, { method: 'POST', body: source.file })).json());
  } catch (error) {
    trouble(error);
    return false;
  }
  if (!results.has(result.key)) return true;
  tracks.update(result);
  compare();
  const chosen = tracks.chosenSegment(result);
  if (chosen) inspect($('inspector'), result, chosen);
  say(`${result.label}: ${MEASURES[measure].name} ${result.means[measure].toFixed(MEASURES[measure].digits)}.`);
  return true;
}

// --- choosing -------------------------------------------------------------------------------------------------------

function pick(side, key) {
  deck.show({ [side]: key });
  tracks.picked(deck.left, deck.right);
}

function pickDefaults() {
  const keys = [...deck.players.keys()];
  deck.show({ left: keys[0] || '', right: keys.at(-1) || '' });
  tracks.picked(deck.left, deck.right);
}

function choose(result, segment, seek = true) {
  tracks.chosen(result, segment);
  inspect($('inspector'), result, segment);
  if (seek) {
    if (deck.left !== result.key) pick('right', result.key);
    if (deck.playing) deck.pause();
    deck.seek(segment.first);
  }
}

function remove(result) {
  result.scout?.stop();
  result.feed?.stop();
  deck.remove(result.key);
  tracks.remove(result.key);
  if (results.delete(result.key)) {
    tracks.picked(deck.left, deck.right);
    compare();
    if (result.done) ask(`/v1/streams/${result.key}`, { method: 'DELETE' }).catch(() => {});
  }
}

// --- controls -------------------------------------------------------------------------------------------------------

deck.onTime = (frame) => {
  const seconds = frame / deck.fps;
  $('clock').textContent = `${clock(seconds)} · ${frame + 1}`;
  $('seek').value = frame;
  $('seek').setAttribute('aria-valuetext', `${clock(seconds)}, frame ${frame + 1} of ${deck.frames}`);
  tracks.playhead(deck.frames ? (frame + 0.5) / deck.frames : 0);
};

deck.onState = () => {
  document.body.classList.toggle('playing', deck.playing);
  document.body.classList.toggle('loud', deck.loud);
  $('play').setAttribute('aria-label', deck.playing ? 'Pause' : 'Play');
  $('sound').setAttribute('aria-pressed', deck.loud);
};

function toggle() {
  if (deck.playing) deck.pause();
  else deck.play();
}

$('play').addEventListener('click', toggle);
$('back').addEventListener('click', () => deck.step(-1));
$('forward').addEventListener('click', () => deck.step(1));
$('sound').addEventListener('click', () => deck.setLoud(!deck.loud));
$('seek').addEventListener('input', () => {
  if (deck.playing) deck.pause();
  deck.seek(Number($('seek').value));
});
$('views').addEventListener('change', (event) => deck.show({ view: event.target.value }));

const KEYS = {
  ' ': toggle, k: toggle, ArrowLeft: () => deck.step(-1), ArrowRight: () => deck.step(1), ',': () => deck.step(-1),
  '.': () => deck.step(1), Home: () => deck.step(-Infinity), End: () => deck.step(Infinity), m: () => deck.setLoud(!deck.loud),
};

document.addEventListener('keydown', (event) => {
  const takes = event.target.closest('input, select, textarea, button, a, dialog, .scroller');
  if (takes || $('player').hidden || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

$('settings').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!running) encode();
});
$('settings').addEventListener('input', showSettings);
$('cancel').addEventListener('click', () => running?.call.abort());

function showSettings() {
  const chosen = settings();
  $('mode-says').textContent = MODES[chosen.mode].says;
  $('rate-row').hidden = Boolean(chosen.quality);
  $('quality-row').hidden = !chosen.quality;
  $('rate-says').textContent = kbits(rate());
  $('rate').setAttribute('aria-valuetext', kbits(rate()));
  $('quality-says').textContent = `${$('quality').value} of 100`;
}

for (const each of document.querySelectorAll('[data-demo]')) {
  each.addEventListener('click', () => openDemo(each.dataset.demo));
}
$('choose').addEventListener('click', () => $('file').click());
$('open').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', () => {
  if ($('file').files[0]) open($('file').files[0]);
  $('file').value = '';
});

document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dropping');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});

async function meet() {
  try {
    const can = await (await ask('/v1/capabilities')).json();
    tracks.measures = can.measures;
    const known = (can.decoder.profiles || []).map((each) => each.id);
    for (const id of known.filter((each) => each !== 'embedded')) $('profile').append(new Option(id, id));
  } catch (error) {
    trouble(error);
  }
}

legend($('legend'));
for (const mode of ['tt2v', 'it2v', 'vt2v', 'coded']) {
  const { long, rate: usual, says } = MODES[mode];
  const way = Object.assign(document.createElement('div'), { className: mode });
  const term = Object.assign(document.createElement('dt'), { textContent: long });
  term.append(Object.assign(document.createElement('span'), { textContent: usual }));
  way.append(term, Object.assign(document.createElement('dd'), { textContent: says }));
  $('ways').append(way);
}
showSettings();
meet();
