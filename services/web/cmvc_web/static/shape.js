// The picture that is meant to be seen, within what is sent: sides are padded to be even, and pixels may be wide.

export function shapeOf(header) {
  const [wide, high] = header.pixel_aspect.split('/');
  return {
    width: header.width,
    height: header.height,
    aspect: Number(wide) / Number(high || 1),
    turned: header.quarter_turns % 2 === 1,
  };
}

// How much larger than the picture the video is, across and down as shown.
export function padding({ width, height, turned }) {
  const across = (width + (width % 2)) / width;
  const down = (height + (height % 2)) / height;
  return turned ? [down, across] : [across, down];
}

// Width over height as shown.
export function ratioOf({ width, height, aspect, turned }) {
  const ratio = (width * aspect) / height;
  return turned ? 1 / ratio : ratio;
}

export function isOdd({ width, height }) {
  return width % 2 === 1 || height % 2 === 1;
}
