// Proof of work off the page's thread: the first n for which SHA-256 of `<challenge>.<n>` begins with enough zero bits.
// Its own SHA-256, since crypto.subtle answers too slowly one by one and not at all on plain http.

const K = new Uint32Array(64);
const START = new Uint32Array(8);

/** The constants are the fractions of square and cube roots of the first primes (FIPS 180-4, 4.2.2 and 5.3.3). */
for (let candidate = 2, found = 0; found < 64; candidate += 1) {
  let prime = true;
  for (let factor = 2; factor * factor <= candidate; factor += 1) prime &&= candidate % factor !== 0;
  if (!prime) continue;
  if (found < 8) START[found] = Math.floor((Math.sqrt(candidate) % 1) * 2 ** 32);
  K[found] = Math.floor((Math.cbrt(candidate) % 1) * 2 ** 32);
  found += 1;
}

const W = new Uint32Array(64);
const rotate = (word, by) => (word >>> by) | (word << (32 - by));

function compress(state, block, offset) {
  for (let i = 0; i < 16; i += 1) W[i] = block.getUint32(offset + i * 4);
  for (let i = 16; i < 64; i += 1) {
    const low = rotate(W[i - 15], 7) ^ rotate(W[i - 15], 18) ^ (W[i - 15] >>> 3);
    const high = rotate(W[i - 2], 17) ^ rotate(W[i - 2], 19) ^ (W[i - 2] >>> 10);
    W[i] = W[i - 16] + low + W[i - 7] + high;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const two = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => {
    state[i] += word;
  });
}

/** Zero bits at the front of the digest of an ASCII text. */
export function zeroBits(text) {
  const blocks = Math.ceil((text.length + 9) / 64);
  const block = new DataView(new ArrayBuffer(blocks * 64));
  for (let i = 0; i < text.length; i += 1) block.setUint8(i, text.charCodeAt(i));
  block.setUint8(text.length, 0x80);
  block.setUint32(blocks * 64 - 4, text.length * 8);
  const state = START.slice();
  for (let i = 0; i < blocks; i += 1) compress(state, block, i * 64);
  const first = state.findIndex((word) => word !== 0);
  return first < 0 ? 256 : first * 32 + Math.clz32(state[first]);
}

globalThis.onmessage = ({ data: { challenge, bits } }) => {
  let number = 0;
  while (zeroBits(`${challenge}.${number}`) < bits) number += 1;
  globalThis.postMessage(`${challenge}.${number}`);
};
