// What things are called, and how numbers are written.

export const MODES = {
  coded: {
    name: 'coded', long: 'Coded video', rate: '4 kbit/s and up',
    says: 'AV1 at the scale and frame rate that fit. Frames that were left out are moved from those beside them.',
  },
  vt2v: {
    name: 'tiny video', long: 'Tiny video', rate: '4 to 60 kbit/s',
    says: 'A tiny video is coded; its size and detail are made from it.',
  },
  it2v: {
    name: 'keyframes', long: 'Keyframes', rate: '4 to 15 kbit/s',
    says: 'Keyframes are coded. What is between them is invented, along a coded motion track.',
  },
  tt2v: {
    name: 'text', long: 'Text', rate: 'under 1 kbit/s',
    says: 'A description is coded. Every picture is invented from it.',
  },
  auto: {
    name: 'auto', long: 'Automatic',
    says: 'Per segment, coded video, tiny video or keyframes, whichever measures better; text where none fits.',
  },
};

// What a server can measure.
export const MEASURES = {
  vmaf: { name: 'VMAF', digits: 1, says: '0 to 100, more is nearer to the original' },
  lpips: { name: 'LPIPS', digits: 3, says: 'of a picture every half second; 0 is the original' },
};

export const PARTS = [
  ['text', 'text'], ['keyframe', 'keyframes'], ['motion', 'motion'],
  ['video', 'video'], ['audio', 'sound'], ['overhead', 'framing'],
];

export function kbits(bitsPerSecond) {
  const value = bitsPerSecond / 1000;
  return `${value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)} kbit/s`;
}

export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  return count < 1e6 ? `${(count / 1000).toPrecision(3)} kB` : `${(count / 1e6).toPrecision(3)} MB`;
}

export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(1).padStart(4, '0')}`;
}

export function times(factor) {
  return factor >= 10 ? `${Math.round(factor).toLocaleString('en')}×` : `${factor.toFixed(1)}×`;
}

export function rateOf(fraction) {
  const [number, per] = fraction.split('/');
  return Number(number) / Number(per || 1);
}

// What of a result is coded and what is invented, in plain words.
export function honestly(segments, fps) {
  const seconds = {};
  let keyframes = 0, leftOut = false;
  for (const each of segments) {
    seconds[each.mode] = (seconds[each.mode] || 0) + each.frames / fps;
    keyframes += each.keyframes;
    leftOut ||= each.mode === 'coded' && each.frame_step > 1;
  }
  const says = {
    coded: (s) => `${s} coded video: nothing invented${leftOut ? ' but frames between coded ones' : ''}`,
    vt2v: (s) => `${s} made from a tiny coded video: detail is not the original's`,
    it2v: (s) => `${s} made from ${keyframes} coded keyframe${keyframes === 1 ? '' : 's'}: what is between them is invented`,
    tt2v: (s) => `${s} painted from a text: every picture is invented`,
  };
  return Object.keys(says).filter((mode) => seconds[mode])
    .map((mode) => says[mode](`${seconds[mode].toFixed(1)} s`));
}
