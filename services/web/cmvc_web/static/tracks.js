// One track a result: its segments by mode, what each costs by part, and how near it comes to the original.

import { MEASURES, MODES, PARTS, bytes, honestly, kbits, times } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, className, onClick, label) {
  const made = element('button', className, text);
  made.type = 'button';
  if (label) made.setAttribute('aria-label', label);
  made.addEventListener('click', onClick);
  return made;
}

export class Tracks {
  // actions: pick(side, key), choose(result, segment), remove(result), score(result, measure)
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    this.rows = new Map();
    this.most = 1000;  // bit/s: what the tallest bar stands for
    this.measures = [];  // that the server can take
  }

  addOriginal(name, size) {
    const row = this.#row('original', 'Original', name);
    row.size = size;
    row.lane.remove();
    row.says.textContent = `${bytes(size)}, as it was sent to this server`;
  }

  originalLasts(seconds) {
    const row = this.rows.get('original');
    if (row) {
      row.rate = (8 * row.size) / seconds;
      row.says.textContent = `${bytes(row.size)} · ${kbits(row.rate)}`;
    }
  }

  add(result) {
    const row = this.#row(result.key, result.label, '');
    row.result = result;
    row.tools.append(
      button('×', 'quiet', () => this.actions.remove(result), `Remove ${result.label}`),
    );
    this.update(result);
  }

  #row(key, title, subtitle) {
    const article = element('article', 'track');
    article.setAttribute('aria-label', title);
    const head = element('header');
    const says = element('p', 'says', subtitle);
    const tools = element('div', 'tools');
    const left = button('Left', 'side', () => this.actions.pick('left', key), `Show ${title} on the left`);
    const right = button('Right', 'side', () => this.actions.pick('right', key), `Show ${title} on the right`);
    tools.append(left, right);
    head.append(element('h3', '', title), says, tools);
    const lane = element('div', 'lane');
    lane.setAttribute('role', 'group');
    lane.setAttribute('aria-label', `Segments of ${title}`);
    lane.addEventListener('keydown', (event) => this.#rove(event, lane));
    const honest = element('p', 'honest');
    article.append(head, lane, honest);
    this.root.append(article);
    const row = { article, head, says, tools, lane, honest, left, right, result: null, cells: [] };
    this.rows.set(key, row);
    return row;
  }

  #rove(event, lane) {
    const cells = [...lane.querySelectorAll('button')];
    const at = cells.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: cells.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const cell = cells[Math.min(cells.length - 1, Math.max(0, to))];
    for (const each of cells) each.tabIndex = each === cell ? 0 : -1;
    cell.focus();
  }

  remove(key) {
    this.rows.get(key)?.article.remove();
    this.rows.delete(key);
  }

  clear() {
    for (const key of [...this.rows.keys()]) this.remove(key);
    this.most = 1000;
  }

  update(result) {
    const row = this.rows.get(result.key);
    const rate = Math.max(0, ...result.segments.map((each) => result.rateOf(each)));
    if (rate > this.most) {
      this.most = rate;
      for (const other of this.rows.values()) for (const cell of other.cells) this.#bars(other.result, cell);
    }
    while (row.cells.length < result.segments.length) this.#cell(row, result.segments[row.cells.length]);
    const missing = Math.max(0, result.frames - result.segments.reduce((sum, each) => sum + each.frames, 0));
    row.lane.style.setProperty('--rest', missing);
    this.#head(row);
  }

  #head(row) {
    const { result } = row;
    const original = this.rows.get('original')?.rate;
    const says = [];
    if (result.bytes) says.push(bytes(result.bytes));
    if (result.bitsPerSecond) says.push(kbits(result.bitsPerSecond));
    if (original && result.done) says.push(`${times(original / result.bitsPerSecond)} smaller`);
    const mean = result.meanSsim;
    if (mean !== null) says.push(`SSIM ${mean.toFixed(3)}`);
    for (const [measure, value] of scoresOf(result)) says.push(`${MEASURES[measure].name} ${value}`);
    row.says.textContent = says.join(' · ') || 'waiting';
    row.honest.textContent = result.segments.length ? `${honestly(result.segments, result.fps).join('; ')}.` : '';
    row.article.classList.toggle('making', !result.done);
    if (result.done && !row.downloads) {
      row.downloads = true;
      for (const [text, href] of [['.cmvc', result.links.stream], ['MP4', `${result.links.video}?download=1`]]) {
        const link = element('a', 'button', text);
        link.href = href;
        link.download = '';
        link.setAttribute('aria-label', `Download ${result.label} as ${text}`);
        row.tools.insertBefore(link, row.tools.lastChild);
      }
      for (const measure of this.rows.has('original') ? this.measures : []) row.tools.insertBefore(this.#meter(result, measure), row.left);
    }
  }

  // A button that has the server measure.
  #meter(result, measure) {
    const { name, says } = MEASURES[measure];
    const made = button(`+ ${name}`, 'side', async () => {
      made.disabled = true;
      made.textContent = `${name}…`;
      const well = await this.actions.score(result, measure);
      if (well) made.remove();
      made.disabled = false;
      made.textContent = `+ ${name}`;
    }, `Measure ${name} of ${result.label}`);
    made.title = `Measure ${name} on the server: ${says}`;
    return made;
  }

  #cell(row, segment) {
    const cell = element('button', `segment ${segment.mode}`);
    cell.type = 'button';
    cell.style.flexGrow = segment.frames;
    cell.tabIndex = row.cells.length ? -1 : 0;
    const picture = element('span', 'picture');
    const chart = document.createElementNS(SVG, 'svg');
    chart.setAttribute('viewBox', '0 0 10 100');
    chart.setAttribute('preserveAspectRatio', 'none');
    chart.setAttribute('aria-hidden', 'true');
    const from = (segment.first / row.result.fps).toFixed(1);
    const band = element('span', 'band');
    const rate = element('span', 'rate', kbits(row.result.rateOf(segment)).replace(' kbit/s', ''));
    rate.append(element('span', 'hidden', ' kbit/s'));
    band.append(
      element('span', 'hidden', `Segment ${segment.index + 1}, from ${from} s: `),
      element('span', '', MODES[segment.mode]?.name || segment.mode), ' ', rate,
    );
    const score = element('span', 'score', '');
    cell.append(band, picture, chart, score);
    cell.addEventListener('click', () => this.actions.choose(row.result, segment));
    const made = { cell, picture, chart, score, segment };
    row.cells.push(made);
    row.lane.append(cell);
    this.#bars(row.result, made);
  }

  #bars(result, { chart, segment }) {
    if (!chart) return;
    chart.replaceChildren();
    let top = 100;
    const whole = (92 * result.rateOf(segment)) / this.most;
    const total = Object.values(segment.bytes).reduce((a, b) => a + b, 0) || 1;
    for (const [part] of PARTS) {
      const height = (whole * segment.bytes[part]) / total;
      if (!height) continue;
      const bar = document.createElementNS(SVG, 'rect');
      top -= height;
      for (const [name, value] of Object.entries({ x: 0, y: top, width: 10, height })) bar.setAttribute(name, value);
      bar.setAttribute('class', `part-${part}`);
      chart.append(bar);
    }
  }

  // A segment was looked at: show its first frame, and its SSIM.
  seen(result, segment, { thumbs, ssim }) {
    const row = this.rows.get(result.key);
    const made = row?.cells[segment.index];
    if (!made) return;
    for (const thumb of thumbs || []) thumb.setAttribute('aria-hidden', 'true');
    if (thumbs) made.picture.replaceChildren(...thumbs);
    if (ssim !== undefined) {
      segment.ssim = ssim;
      made.score.replaceChildren(element('span', 'hidden', 'SSIM '), ssim.toFixed(2));
      this.#head(row);
    }
  }

  picked(left, right) {
    for (const [key, row] of this.rows) {
      row.left.setAttribute('aria-pressed', key === left);
      row.right.setAttribute('aria-pressed', key === right);
    }
  }

  chosen(result, segment) {
    for (const row of this.rows.values()) {
      for (const { cell, segment: each } of row.cells) {
        cell.setAttribute('aria-pressed', row.result === result && each === segment);
      }
    }
  }

  // The segment of a result that is chosen, if one is.
  chosenSegment(result) {
    const cells = this.rows.get(result.key)?.cells || [];
    return cells.find(({ cell }) => cell.getAttribute('aria-pressed') === 'true')?.segment;
  }

  playhead(share) {
    this.root.style.setProperty('--playhead', `${100 * share}%`);
  }
}

// [measure, value as text] of what the server has measured of a result, or of a segment of it.
function scoresOf(result, segment) {
  const values = Object.keys(result.means).map((measure) => [measure, segment ? segment[measure] : result.means[measure]]);
  return values.filter(([, value]) => value !== null).map(([measure, value]) => [measure, value.toFixed(MEASURES[measure].digits)]);
}

export function legend(root) {
  root.replaceChildren();
  const parts = element('p', '', 'kbit/s by part: ');
  for (const [part, name] of PARTS) {
    const key = element('span', 'key', name);
    key.prepend(element('i', `part-${part}`));
    parts.append(key, ' ');
  }
  root.append(parts, element('p', 'small',
    'SSIM: of luma, three frames a segment, at most 256 pixels wide, measured in this page. It says how close pixels are, not how good a picture looks.'));
}

export function comparison(table, results, original) {
  const done = results.filter((each) => each.done);
  table.hidden = done.length < 2;
  table.replaceChildren();
  const caption = element('caption', '', 'Compared');
  const head = element('tr');
  const measured = Object.keys(MEASURES).filter((measure) => done.some((each) => measure in each.means));
  const more = measured.map((measure) => MEASURES[measure].name);
  for (const name of ['', 'size', 'rate', original ? 'smaller' : '', 'SSIM', ...more, 'invented', 'made in']) {
    const cell = element(name ? 'th' : 'td', '', name);
    if (name) cell.scope = 'col';
    head.append(cell);
  }
  table.append(caption, head);
  for (const each of done) {
    const row = element('tr');
    const title = element('th', '', each.label);
    title.scope = 'row';
    row.append(title);
    const mean = each.meanSsim;
    const cells = [
      bytes(each.bytes), kbits(each.bitsPerSecond), original ? times(original / each.bitsPerSecond) : '',
      mean === null ? '–' : mean.toFixed(3), ...measured.map((measure) => Object.fromEntries(scoresOf(each))[measure] || '–'),
      `${Math.round(100 * each.inventedShare)} % of the time`,
      each.tookSeconds ? `${each.tookSeconds.toFixed(1)} s` : '–',
    ];
    for (const text of cells) row.append(element('td', '', text));
    table.append(row);
  }
}

export function inspect(root, result, segment) {
  root.hidden = false;
  root.replaceChildren();
  const mode = MODES[segment.mode];
  const from = segment.first / result.fps;
  root.append(
    element('h3', '', `Segment ${segment.index + 1}: ${mode?.long || segment.mode}`),
    element('p', 'small', `${result.label} · ${from.toFixed(2)}–${(from + segment.frames / result.fps).toFixed(2)} s · ${segment.frames} frames · ${kbits(result.rateOf(segment))}`),
    element('p', '', mode?.says || ''),
  );
  const list = element('dl');
  for (const [part, name] of PARTS) {
    if (!segment.bytes[part]) continue;
    const term = element('dt', '', name);
    term.prepend(element('i', `part-${part}`));
    list.append(term, element('dd', '', bytes(segment.bytes[part])));
  }
  const more = [
    segment.keyframes && ['pictures coded', String(segment.keyframes)],
    segment.coded_size && ['coded size', segment.coded_size.join('×')],
    segment.frame_step > 1 && ['frames coded', `one in ${segment.frame_step}`],
    segment.ssim !== undefined && ['SSIM', segment.ssim.toFixed(3)],
    ...scoresOf(result, segment).map(([measure, value]) => [MEASURES[measure].name, value]),
  ];
  for (const [term, value] of more.filter(Boolean)) list.append(element('dt', '', term), element('dd', '', value));
  root.append(list);
  if (segment.text) {
    const caption = element('blockquote', '', segment.text);
    caption.tabIndex = 0;  // so that a keyboard can scroll it
    root.append(element('h4', '', 'Caption'), caption);
  }
}
