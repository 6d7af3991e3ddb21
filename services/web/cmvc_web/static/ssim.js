// SSIM of luma (Wang et al. 2004), over windows of 8x8 pixels four apart.

const WINDOW = 8;
const STRIDE = 4;
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

export function luma(pixels) {
  const out = new Float32Array(pixels.length / 4);
  for (let n = 0; n < out.length; n += 1) {
    out[n] = 0.2126 * pixels[4 * n] + 0.7152 * pixels[4 * n + 1] + 0.0722 * pixels[4 * n + 2];
  }
  return out;
}

export function ssim(a, b, width, height) {
  let sum = 0;
  let count = 0;
  for (let y = 0; y + WINDOW <= height; y += STRIDE) {
    for (let x = 0; x + WINDOW <= width; x += STRIDE) {
      sum += one(a, b, width, y * width + x);
      count += 1;
    }
  }
  return count ? sum / count : 1;
}

function one(a, b, width, start) {
  let sa = 0; let sb = 0; let aa = 0; let bb = 0; let ab = 0;
  for (let row = 0; row < WINDOW; row += 1) {
    for (let at = start + row * width, end = at + WINDOW; at < end; at += 1) {
      const p = a[at]; const q = b[at];
      sa += p; sb += q; aa += p * p; bb += q * q; ab += p * q;
    }
  }
  const n = WINDOW * WINDOW;
  const ma = sa / n; const mb = sb / n;
  const va = aa / n - ma * ma; const vb = bb / n - mb * mb; const cov = ab / n - ma * mb;
  return ((2 * ma * mb + C1) * (2 * cov + C2)) / ((ma * ma + mb * mb + C1) * (va + vb + C2));
}
