// The maps that are made of others, for any class: `crates/cbam-core/src/maps/fuse.rs` says what they are, and why.

/** @typedef {{ grid: Grid, values: Float32Array }} GridMap */

/**
 * @param {GridMap} map
 * @param {Grid} grid
 * @returns {Float32Array}
 */
function onGrid(map, [rows, columns]) {
    return allOf(rowsOf(map.values, map.grid, [columns, rows], "bilinear", Infinity));
}

/**
 * What is over 0, over its greatest value.
 * @param {GridMap} map
 * @returns {GridMap}
 */
function overPeak({ grid, values }) {
    const least = 2 ** -126; // the least 32-bit number of full precision: nothing is divided by 0
    const peak = values.reduce((peak, value) => Math.max(peak, value), least);
    return { grid, values: values.map((value) => Math.max(0, value) / peak) };
}

/**
 * The product of maps on one grid to a power, times the class activation over its peak.
 * @param {Float32Array[]} maps
 * @param {number} power
 * @param {GridMap} activation
 * @param {Grid} grid
 * @returns {GridMap}
 */
function timesActivation(maps, power, activation, grid) {
    const speaks = onGrid(overPeak(activation), grid);
    const product = (/** @type {number} */ cell) => maps.reduce((product, map) => product * Math.max(0, map[cell]), 1);
    return { grid, values: speaks.map((value, cell) => product(cell) ** power * value) };
}

/**
 * What is looked at, of a network with patch attention.
 * @param {GridMap[]} patches   attention received, a map for each grid
 * @param {GridMap} activation
 */
function attended(patches, activation) {
    const cells = (/** @type {GridMap} */ map) => map.values.length;
    const finest = patches.reduce((finest, patch) => (cells(patch) >= cells(finest) ? patch : finest)).grid;
    const received = patches.map((patch) => onGrid(patch, finest));
    return timesActivation(received, 0.75 / patches.length, activation, finest);
}

/**
 * What is looked at, of a network whose only attention is gates.
 * @param {GridMap[]} gates   all spatial gates
 * @param {GridMap} activation
 */
function gated(gates, activation) {
    const grids = new Map(gates.map(({ grid }) => [grid.join(), grid]));
    const coarsest = [...grids.values()].sort((a, b) => a[0] * a[1] - b[0] * b[1] || a[0] - b[0]).slice(0, 2);
    const finest = coarsest[coarsest.length - 1];
    const means = coarsest.map((grid) => {
        const ofGrid = gates.filter((gate) => gate.grid.join() === grid.join());
        const sum = (/** @type {number} */ cell) => ofGrid.reduce((sum, { values }) => sum + values[cell], 0);
        const values = ofGrid[0].values.map((_, cell) => sum(cell) / ofGrid.length);
        return onGrid({ grid, values }, finest);
    });
    return timesActivation(means, 1 / coarsest.length, activation, finest);
}

/**
 * How alike the features of each cell are to those of the cells that the map is high on, and unlike those of the others.
 * @param {GridMap} map
 * @param {Ground} ground
 * @returns {GridMap}
 */
function likeness(map, { grid, features, channels }) {
    const weights = overPeak({ grid, values: onGrid(map, grid) }).values;
    const sum = sumOf(weights);
    if (sum === 0) return { grid, values: weights.map(() => 1) };
    const cells = weights.length;
    const overLength = weights.map(
        (_, cell) => 1 / Math.max(1e-6, Math.sqrt(squaresOf(features, cell * channels, channels))),
    );
    const inside = new Float64Array(channels);
    const all = new Float64Array(channels);
    features.forEach((feature, at) => {
        const [cell, channel] = [Math.floor(at / channels), at % channels];
        inside[channel] += feature * overLength[cell] * weights[cell];
        all[channel] += feature * overLength[cell];
    });
    const rest = Math.max(1e-6, cells - sum);
    const away = inside.map((inside, channel) => inside / sum - (all[channel] - inside) / rest);
    const length = Math.max(1e-12, Math.sqrt(squaresOf(away, 0, channels)));
    const values = overLength.map((overLength, cell) => {
        let along = 0;
        for (let channel = 0; channel < channels; channel++) {
            along += features[cell * channels + channel] * away[channel];
        }
        return Math.min(1, Math.max(0, (1 + (along / length) * overLength) / 2));
    });
    return { grid, values };
}

/**
 * The sum of the squares of `count` numbers.
 * @param {Float32Array | Float64Array} numbers
 * @param {number} from
 * @param {number} count
 */
function squaresOf(numbers, from, count) {
    let sum = 0;
    for (let at = from; at < from + count; at++) sum += numbers[at] * numbers[at];
    return sum;
}

/**
 * What is looked at as far as it is alike.
 * @param {GridMap} map
 * @param {GridMap} alike
 * @returns {GridMap}
 */
function weighted(map, alike) {
    const looked = onGrid(map, alike.grid);
    return { grid: alike.grid, values: alike.values.map((alike, cell) => looked[cell] * alike ** 4) };
}

/**
 * The telling part of what is looked at.
 * @param {GridMap} map
 * @param {GridMap | null} alike
 * @returns {GridMap}
 */
function fuse(map, alike) {
    if (alike) return weighted(map, alike);
    const mean = sumOf(map.values) / map.values.length;
    return { grid: map.grid, values: map.values.map((value) => Math.max(0, value - mean)) };
}

/**
 * The whole of what is looked at: half of the mean is ½, so that peaks become plateaus.
 * @param {GridMap} map
 * @param {GridMap | null} alike
 * @returns {GridMap}
 */
function objectOf(map, alike) {
    const { grid, values } = alike ? weighted(map, alike) : map;
    const half = sumOf(values) / values.length / 2;
    return { grid, values: values.map((value) => (value > 0 ? value / (value + half) : 0)) };
}

/**
 * Where the page keeps the activation of a class; -1 if it does not.
 * @param {ClassActivations} classes
 * @param {number} id
 */
function placeOfClass({ of, scales }, id) {
    if (of) return of.indexOf(id);
    return id < scales.length ? id : -1;
}

/**
 * The maps of another class than the one that is explained, by their names: those that the page can make.
 * @param {Picture} picture
 * @param {number} id
 * @returns {Map<string, GridMap>}
 */
function mapsOfClass({ classes, ground, data, maps }, id) {
    const place = classes ? placeOfClass(classes, id) : -1;
    if (!classes || place < 0) return new Map();
    const { grid, codes, scales } = classes;
    const cells = grid[0] * grid[1];
    /** @type {GridMap} */
    const activation = { grid, values: numbersOnScale(codes, place * cells, cells, 0, scales[place]) };
    const made = new Map([["gradcam", activation]]);
    if (!data.rule) return made;
    const named = (/** @type {string[]} */ names) => maps.filter(({ name }) => names.includes(name));
    const [patches, gates] = [named(data.rule.patches), named(data.rule.gates)];
    let looked = activation;
    if (patches.length) looked = attended(patches, activation);
    else if (gates.length) looked = gated(gates, activation);
    const alike = ground && likeness(looked, ground);
    return made.set("fused", fuse(looked, alike)).set("object", objectOf(looked, alike));
}
