// Maps on other grids, and what their values say. The numbers are those of the program: `crates/cbam-core/src/maps`, in
// the order of its operations, and rounded to 32 bits (`Math.fround`) where it does so.

/** @typedef {{ firsts: Int32Array, weights: Float32Array, count: number }} Taps */
/** @typedef {{ width: number, height: number, fill: (row: number, out: Float32Array) => void }} Rows */
/** @typedef {{ low: number, high: number }} Limits */
/** @typedef {{ kind: "image" | "run" } | { kind: "percentile" | "fixed", low: number, high: number }} Scale */

/** @type {Record<Exclude<Resample, "nearest">, { reach: number, weight: (distance: number) => number }>} */
const KERNELS = {
    bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
    bicubic: { reach: 2, weight: (x) => catmullRom(Math.abs(x)) },
};

/**
 * The cubic of Catmull and Rom, a = -1/2.
 * @param {number} x
 */
function catmullRom(x) {
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((2.5 - 0.5 * x) * x - 4) * x + 2 : 0;
}

/**
 * What each new cell along one axis takes of the old ones: how much the first that counts and those after it do, together 1.
 * @param {number} old
 * @param {number} size
 * @param {Resample} resample
 * @returns {Taps}
 */
function tapsOf(old, size, resample) {
    const firsts = new Int32Array(size);
    if (resample === "nearest") {
        for (let cell = 0; cell < size; cell++) firsts[cell] = Math.floor(((2 * cell + 1) * old) / (2 * size));
        return { firsts, weights: new Float32Array(size).fill(1), count: 1 };
    }
    const { reach, weight } = KERNELS[resample];
    const scale = old / size;
    const stretch = Math.max(1, scale); // a kernel of fewer cells than fall together would leave some out
    const count = Math.min(old, Math.ceil(2 * reach * stretch));
    const weights = new Float32Array(size * count);
    for (let cell = 0; cell < size; cell++) {
        const centre = (cell + 0.5) * scale;
        const first = Math.min(old - count, Math.max(0, Math.trunc(centre - reach * stretch + 0.5)));
        let sum = 0;
        for (let tap = 0; tap < count; tap++) {
            weights[cell * count + tap] = weight((first + tap + 0.5 - centre) / stretch);
            sum = Math.fround(sum + weights[cell * count + tap]);
        }
        for (let tap = 0; tap < count; tap++) weights[cell * count + tap] /= sum;
        firsts[cell] = first;
    }
    return { firsts, weights, count };
}

/**
 * The rows of a map with as many columns as wanted.
 * @param {Float32Array} values
 * @param {Grid} grid
 * @param {number} width
 * @param {Resample} resample
 */
function widened(values, [rows, columns], width, resample) {
    const { firsts, weights, count } = tapsOf(columns, width, resample);
    const wide = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) {
        for (let column = 0; column < width; column++) {
            const from = row * columns + firsts[column];
            const first = values[from];
            let sum = 0;
            for (let tap = 1; tap < count; tap++) {
                const away = Math.fround(values[from + tap] - first);
                sum = Math.fround(sum + Math.fround(away * weights[column * count + tap]));
            }
            wide[row * width + column] = first + sum;
        }
    }
    return wide;
}

/**
 * A map on another grid, made a row at a time: a large picture's is not held as a whole. Its values are clamped to 0 and `top`.
 * @param {Float32Array} values
 * @param {Grid} grid
 * @param {Size} size
 * @param {Resample} resample
 * @param {number} top
 * @returns {Rows}
 */
function rowsOf(values, grid, [width, height], resample, top) {
    const wide = widened(values, grid, width, resample);
    const { firsts, weights, count } = tapsOf(grid[0], height, resample);
    return {
        width,
        height,
        fill(row, out) {
            const from = firsts[row] * width;
            const first = wide.subarray(from, from + width);
            out.set(first);
            for (let tap = 1; tap < count; tap++) {
                const weight = weights[row * count + tap];
                const other = wide.subarray(from + tap * width, from + (tap + 1) * width);
                for (let column = 0; column < width; column++) {
                    out[column] += Math.fround(Math.fround(other[column] - first[column]) * weight);
                }
            }
            for (let column = 0; column < width; column++) {
                out[column] = Math.min(top, Math.max(0, out[column]));
            }
        },
    };
}

/**
 * All rows.
 * @param {Rows} rows
 */
function allOf(rows) {
    const all = new Float32Array(rows.width * rows.height);
    for (let row = 0; row < rows.height; row++) {
        rows.fill(row, all.subarray(row * rows.width, (row + 1) * rows.width));
    }
    return all;
}

/**
 * The greatest value that a map may have.
 * @param {MapRange} range
 */
function topOf(range) {
    return range === "unit" ? 1 : Infinity;
}

/**
 * numpy's `percentile(values, percent, method="linear")`, of sorted values.
 * @param {Float32Array} sorted
 * @param {number} percent
 */
function percentile(sorted, percent) {
    const last = sorted.length - 1;
    const position = (Math.min(100, Math.max(0, percent)) / 100) * last;
    const index = Math.floor(position);
    const [low, high] = [sorted[index], sorted[Math.min(last, index + 1)]];
    return Math.fround(low + (high - low) * (position - index));
}

/**
 * The values that become the two ends of the colours, taken from the map's own grid.
 * @param {{ name: string, values: Float32Array }} map
 * @param {Scale} scale
 * @param {Head["spans"]} spans
 * @returns {Limits}
 */
function limitsOf(map, scale, spans) {
    if (scale.kind === "fixed") return { low: Math.fround(scale.low), high: Math.fround(scale.high) };
    const span = scale.kind === "run" ? spans?.[map.name] : undefined;
    if (span) return { low: span[0], high: span[1] };
    const [low, high] = scale.kind === "percentile" ? [scale.low, scale.high] : [0, 100];
    const sorted = map.values.slice().sort();
    return { low: percentile(sorted, low), high: percentile(sorted, high) };
}

/**
 * A value on the scale, in [0, 1].
 * @param {number} value
 * @param {Limits} limits
 */
function scaled(value, { low, high }) {
    const part = Math.fround(Math.fround(value - low) / Math.fround(high - low));
    if (!(part > 0)) return 0; // where both ends are one value, too
    return part < 1 ? part : 1;
}

/** @param {Float32Array} values */
function sumOf(values) {
    let sum = 0;
    for (const value of values) sum += value;
    return sum;
}

/** @param {Float32Array} values */
function peakOf(values) {
    let peak = 0;
    for (let cell = 1; cell < values.length; cell++) if (values[cell] > values[peak]) peak = cell;
    return peak;
}

/**
 * The entropy of the mass over that of uniform mass, and the least fraction of cells that holds half of it.
 * @param {Float32Array} values
 */
function statistics(values) {
    const sum = sumOf(values);
    const cells = values.length;
    const shareOf = (/** @type {number} */ value) => (sum > 0 ? value / sum : 1 / cells);
    const sorted = values.slice().sort().reverse();
    let [entropy, held, taken] = [0, 0, 0];
    for (const value of sorted) {
        const share = shareOf(value);
        if (share > 0) entropy -= share * Math.log(share);
        if (held < 0.5 - 1e-9) taken += 1; // rounding of the sum must not add a cell
        held += share;
    }
    return { entropy: cells > 1 ? Math.min(1, entropy / Math.log(cells)) : 1, coverage: taken / cells };
}

/**
 * The highest threshold at or above which values hold at least so much of their sum.
 *
 * Numbers that are not negative sort as their bits do, so two histograms, of the upper and of the lower 16 bits, find
 * it without sorting.
 * @param {Float32Array} values
 * @param {number} mass
 */
function massThreshold(values, mass) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const wanted = sumOf(values) * mass * (1 - 1e-7); // sums are rounded
    const upper = reachedIn(heldBy(bits, values, 16, null), wanted);
    const lower = reachedIn(heldBy(bits, values, 0, upper.bin), upper.wanted);
    return new Float32Array(Uint32Array.of(((upper.bin << 16) | lower.bin) >>> 0).buffer)[0];
}

/**
 * What the values sum to whose bits, from `shift` on, are each number of 16 bits; of those alone that have the upper
 * bits `prefix`.
 * @param {Uint32Array} bits
 * @param {Float32Array} values
 * @param {number} shift
 * @param {number | null} prefix
 */
function heldBy(bits, values, shift, prefix) {
    const held = new Float64Array(1 << 16);
    const seen = new Uint8Array(1 << 16);
    for (let at = 0; at < bits.length; at++) {
        const absolute = bits[at] & 0x7fffffff; // there is a -0 too
        if (prefix !== null && absolute >>> 16 !== prefix) continue;
        const bin = (absolute >>> shift) & 0xffff;
        held[bin] += values[at];
        seen[bin] = 1;
    }
    return { held, seen };
}

/**
 * The bin that reaches the wanted sum, from the highest on, and what is wanted of it.
 * @param {{ held: Float64Array, seen: Uint8Array }} bins
 * @param {number} wanted
 */
function reachedIn({ held, seen }, wanted) {
    let reached = 0;
    for (let bin = held.length - 1; bin >= 0; bin--) {
        if (!seen[bin]) continue;
        reached = bin;
        if (held[bin] >= wanted) break;
        wanted -= held[bin];
    }
    return { bin: reached, wanted };
}
