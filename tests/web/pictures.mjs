// Pictures of many kinds for tests, made of the project's photos: cut, turned, grey, clear, in 16 bits.

import { deflateSync, crc32 as crc, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
/** Channels of PNG's colour types. @type {Record<number, number>} */
const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 };

/**
 * @typedef {object} Pixels
 * @property {number} width
 * @property {number} height
 * @property {number} channels 1 grey, 2 with alpha, 3 colour, 4 with alpha
 * @property {Uint8Array | Uint16Array} samples pixel after pixel
 */

/**
 * Reads a PNG of 8 bits that is not interlaced, as the program writes them.
 * @param {Buffer} bytes
 * @returns {Pixels}
 */
export function readPng(bytes) {
    const data = [];
    let head = Buffer.alloc(13);
    for (let at = SIGNATURE.length; at < bytes.length; ) {
        const length = bytes.readUInt32BE(at);
        const body = bytes.subarray(at + 8, at + 8 + length);
        const kind = bytes.toString("latin1", at + 4, at + 8);
        if (kind === "IHDR") head = Buffer.from(body);
        if (kind === "IDAT") data.push(body);
        at += 12 + length;
    }
    const [width, height, channels] = [head.readUInt32BE(0), head.readUInt32BE(4), CHANNELS[head[9]]];
    if (head[8] !== 8 || head[12] !== 0) throw new Error("not a PNG of 8 bits, row after row");
    const filtered = inflateSync(Buffer.concat(data));
    const samples = new Uint8Array(width * height * channels);
    for (let y = 0; y < height; y++) unfilter(filtered, samples, y, width * channels, channels);
    return { width, height, channels, samples };
}

/**
 * Undoes the filter of row `y`, of `length` bytes.
 * @param {Buffer} filtered
 * @param {Uint8Array} samples
 * @param {number} y
 * @param {number} length
 * @param {number} channels
 */
function unfilter(filtered, samples, y, length, channels) {
    const [from, to] = [y * (length + 1) + 1, y * length];
    const filter = filtered[from - 1];
    for (let x = 0; x < length; x++) {
        const left = x < channels ? 0 : samples[to + x - channels];
        const above = y === 0 ? 0 : samples[to + x - length];
        const corner = x < channels || y === 0 ? 0 : samples[to + x - length - channels];
        const guess = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter];
        samples[to + x] = filtered[from + x] + guess;
    }
}

/**
 * @param {number} left
 * @param {number} above
 * @param {number} corner
 */
function paeth(left, above, corner) {
    const guess = left + above - corner;
    const [a, b, c] = [left, above, corner].map((value) => Math.abs(guess - value));
    if (a <= b && a <= c) return left;
    return b <= c ? above : corner;
}

/**
 * A PNG of 8 or 16 bits, as the samples have.
 * @param {Pixels} pixels
 */
export function writePng({ width, height, channels, samples }) {
    const bytes = samples.BYTES_PER_ELEMENT;
    const rows = Buffer.alloc(height * (1 + width * channels * bytes));
    for (let y = 0, at = 0; y < height; y++) {
        at++; // no filter
        for (const sample of samples.subarray(y * width * channels, (y + 1) * width * channels)) {
            at = bytes === 1 ? rows.writeUInt8(sample, at) : rows.writeUInt16BE(sample, at);
        }
    }
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head[8] = 8 * bytes;
    head[9] = [0, 0, 4, 2, 6][channels];
    return Buffer.concat([SIGNATURE, chunk("IHDR", head), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/**
 * @param {string} kind
 * @param {Buffer} body
 */
function chunk(kind, body) {
    const whole = Buffer.alloc(12 + body.length);
    whole.writeUInt32BE(body.length, 0);
    whole.write(kind, 4, "latin1");
    body.copy(whole, 8);
    whole.writeUInt32BE(crc(whole.subarray(4, 8 + body.length)), 8 + body.length);
    return whole;
}

/**
 * A part of a picture.
 * @param {Pixels} pixels
 * @param {[number, number, number, number]} part left, top, width, height
 * @returns {Pixels}
 */
export function cut({ width, channels, samples }, [left, top, columns, rows]) {
    const part = new Uint8Array(columns * rows * channels);
    for (let y = 0; y < rows; y++) {
        const from = ((top + y) * width + left) * channels;
        part.set(samples.subarray(from, from + columns * channels), y * columns * channels);
    }
    return { width: columns, height: rows, channels, samples: part };
}

/**
 * A picture with every pixel made anew.
 * @param {Pixels} pixels
 * @param {(pixel: number[], index: number) => number[]} made
 * @param {Uint8ArrayConstructor | Uint16ArrayConstructor} depth
 * @returns {Pixels}
 */
export function repaint({ width, height, channels, samples }, made, depth = Uint8Array) {
    const all = [];
    for (let index = 0; index < width * height; index++) {
        all.push(...made(Array.from(samples.subarray(index * channels, (index + 1) * channels)), index));
    }
    return { width, height, channels: all.length / (width * height), samples: depth.from(all) };
}

/**
 * A JPEG that is to be turned by its EXIF.
 * @param {Buffer} jpeg
 * @param {number} orientation 1 to 8
 */
export function turned(jpeg, orientation) {
    const entry = Buffer.from([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    const tiff = Buffer.concat([Buffer.from("II*\0\x08\0\0\0\x01\0", "latin1"), entry, Buffer.alloc(4)]);
    const body = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), tiff]);
    const mark = Buffer.from([0xff, 0xe1, 0, 0]);
    mark.writeUInt16BE(body.length + 2, 2);
    return Buffer.concat([jpeg.subarray(0, 2), mark, body, jpeg.subarray(2)]);
}
