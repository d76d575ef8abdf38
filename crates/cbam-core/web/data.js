// The format of the page's data, version 1, and how its arrays are read.

/**
 * @typedef {[number, number]} Size   width and height, in pixels
 * @typedef {[number, number]} Grid   rows and columns
 * @typedef {"unit" | "relative" | "positive"} MapRange   a gate in [0, 1]; 1 is uniform attention; at least 0, without a unit
 * @typedef {"attention" | "constant"} Opacity
 * @typedef {"nearest" | "bilinear" | "bicubic"} Resample
 */

/**
 * Numbers in the picture's blob. Of "u8" and "u16" a value is `low + (high - low) * code / greatest code`.
 * @typedef {{ type: "u8" | "u16" | "f32", at: number, count: number, low?: number, high?: number }} Packed
 */

/**
 * @typedef {object} Head
 * @property {string} format
 * @property {number} version
 * @property {{ program: string, date: string }} made
 * @property {string[]} command   the words that decide the network; none if the program does not open it, or not the pictures
 * @property {Record<string, string[]>} methods   the words that go with the maps of a method
 * @property {{ name: string, labels: string[], outputs: string }} network
 * @property {{ maps: string[], colormap: string, alpha: number, opacity: Opacity, resample: Resample, scale: string,
 *   contour: number | null, class: number | null }} look
 * @property {{ colormap: string, alpha: Record<Opacity, number>, opacity: Opacity, resample: Resample, scale: string }} usual
 * @property {Record<string, [number, number]> | null} spans   the ends of each map's values over the run
 * @property {{ names: string[], count: number, tables: string }} colours
 * @property {string | null} split   the folder of the pictures' data, if they are not in the page
 * @property {[string, string] | null} disagreement   the maps whose disagreement the index tells
 * @property {Evaluation | null} report   what was measured, of the pictures of a report
 * @property {(IndexEntry | null)[]} pictures   null: taken off a live page's list
 * @property {boolean} film   whether the page is of a film
 * @property {LiveSource} [live]   of a page that runs the network itself: all else but format and version is the engine's to say
 */

/**
 * @typedef {object} LiveSource
 * @property {string | null} engine   where the engine is; null: in the page, unless it is served
 * @property {boolean} served   whether the network runs in the program that serves the page
 * @property {string} program   what made the page, with its version
 */

/**
 * @typedef {{ key: string, words: string, high: boolean }} Measure   `high`: more is better
 * @typedef {{ map: string, maps: string[], measures: Measure[] }} Evaluation   `map`: whose measures are shown first
 */

/**
 * What is known of a picture: its class, and where the object is, by boxes (parts of the picture: left, top, right, bottom) or by
 * a mask (one bit a cell, row after row, the most significant first).
 * @typedef {object} Truth
 * @property {number | null} class
 * @property {number | null} rank   how many classes the network holds likelier
 * @property {boolean} small
 * @property {[number, number, number, number][]} boxes
 * @property {{ grid: Grid, bits: string } | null} mask
 */

/**
 * What the page knows of a picture before it is opened.
 * @typedef {object} IndexedPicture
 * @property {string} name
 * @property {Size} size
 * @property {[number, number, number, number] | null} seen
 * @property {string | null} thumb
 * @property {[number, number | null][]} top   the likeliest classes and their probabilities
 * @property {number | null} explained
 * @property {number | null} entropy
 * @property {number | null} coverage
 * @property {number | null} disagreement
 * @property {Record<string, { grid: Grid, values: string }>} maps   each on its scale; of a gallery without a report one at most
 * @property {string | null} damaged
 * @property {Truth | null} [truth]
 * @property {Record<string, Record<string, number | null>>} [measures]   of each map, in a report
 */

/**
 * @typedef {{ name: string, error: string }} FailedPicture
 * @typedef {IndexedPicture | FailedPicture} IndexEntry
 */

/**
 * A picture's data as they stand in the page.
 * @typedef {object} PictureData
 * @property {string} photo
 * @property {Size} photo_size
 * @property {Size} size
 * @property {Size} network_size
 * @property {[number, number, number, number] | null} seen
 * @property {string | null} damaged
 * @property {string[]} notes
 * @property {string[]} [done]   what was done to the maps of a film
 * @property {Truth | null} [truth]
 * @property {number | null} likeliest
 * @property {number | null} explained
 * @property {Packed | null} probabilities
 * @property {{ name: string, range: MapRange, of_class: boolean, grid: Grid, values: Packed,
 *   cell: [number, number] | null }[]} maps
 * @property {{ stage: string, grid: Grid, heads: number, mean: boolean, scales: Packed, weights: Packed }[]} attention
 * @property {{ stage: string, channel: Packed,
 *   features: { grid: Grid, lows: Packed, highs: Packed, values: Packed } | null }[]} gates
 * @property {{ grid: Grid, of: number[] | null, scales: Packed, values: Packed } | null} classes
 * @property {{ patches: string[], gates: string[] } | null} rule
 * @property {{ grid: Grid, channels: number, lows: Packed, highs: Packed, values: Packed } | null} ground
 * @property {string} blob
 * @property {PageMap[]} [added]   maps that were asked for besides, in a live page
 */

/** @typedef {Uint8Array | Uint16Array} Codes */

/**
 * A map on its own grid, unscaled.
 * @typedef {object} PageMap
 * @property {string} name
 * @property {MapRange} range
 * @property {boolean} ofClass   whether it is of a class
 * @property {number | null} explains   that class
 * @property {Grid} grid
 * @property {Float32Array} values
 * @property {[number, number] | null} cell   the patch that looks, if the map is of one
 */

/**
 * @typedef {object} Attention
 * @property {string} stage
 * @property {Grid} grid
 * @property {number} heads
 * @property {boolean} mean   whether its one head is the mean over heads
 * @property {Float32Array} scales
 * @property {Codes} codes   rows are those that look
 */

/**
 * @typedef {{ grid: Grid, lows: Float32Array, highs: Float32Array, codes: Codes }} Features
 * @typedef {{ stage: string, channel: Float32Array, features: Features | null }} Gate
 * @typedef {{ grid: Grid, features: Float32Array, channels: number }} Ground   features cell after cell
 * @typedef {{ grid: Grid, of: number[] | null, scales: Float32Array, codes: Codes }} ClassActivations
 */

/**
 * A picture, ready to be looked at.
 * @typedef {object} Picture
 * @property {number} index
 * @property {string} name
 * @property {PictureData} data
 * @property {number} frame   which frame of a film; 0 of a picture
 * @property {HTMLImageElement | HTMLCanvasElement} image
 * @property {[number, number | null][]} top   the likeliest classes and their probabilities
 * @property {PageMap[]} maps   of the class that is explained
 * @property {Attention[]} attention
 * @property {Gate[]} gates
 * @property {Float32Array | null} probabilities
 * @property {ClassActivations | null} classes
 * @property {Ground | null} ground
 */

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
function bytesOfBase64(text) {
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = characters.charCodeAt(at);
    return bytes;
}

/**
 * The bytes of what is zipped (zlib) and in base64.
 * @param {string} text
 * @returns {Promise<ArrayBuffer>}
 */
function unzipped(text) {
    const zipped = new Blob([bytesOfBase64(text)]);
    return new Response(zipped.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

/**
 * The colours of each map of colours: red, green and blue of each place.
 * @param {Head["colours"]} colours
 * @returns {Promise<Map<string, Uint8Array>>}
 */
async function colourTables(colours) {
    const bytes = await unzipped(colours.tables);
    const length = 3 * colours.count;
    return new Map(colours.names.map((name, index) => [name, new Uint8Array(bytes, index * length, length)]));
}

/**
 * The whole numbers of an array of codes.
 * @param {ArrayBuffer} blob
 * @param {Packed} packed
 * @returns {Codes}
 */
function codesOf(blob, { type, at, count }) {
    if (type === "f32") throw new Error("numbers stand where codes are wanted");
    return type === "u8" ? new Uint8Array(blob, at, count) : new Uint16Array(blob, at, count);
}

/**
 * The greatest code: it stands for all of a scale.
 * @param {Codes} codes
 */
function greatestCode(codes) {
    return 2 ** (8 * codes.BYTES_PER_ELEMENT) - 1;
}

/**
 * The numbers of an array.
 * @param {ArrayBuffer} blob
 * @param {Packed} packed
 * @returns {Float32Array}
 */
function numbersOf(blob, packed) {
    if (packed.type === "f32") return new Float32Array(blob, packed.at, packed.count);
    const { low = 0, high = 1 } = packed;
    const codes = codesOf(blob, packed);
    const step = (high - low) / greatestCode(codes);
    return Float32Array.from(codes, (code) => low + code * step);
}

/**
 * One of several runs of codes, each on a scale of its own.
 * @param {Codes} codes
 * @param {number} from
 * @param {number} count
 * @param {number} low
 * @param {number} high
 */
function numbersOnScale(codes, from, count, low, high) {
    const step = (high - low) / greatestCode(codes);
    return Float32Array.from(codes.subarray(from, from + count), (code) => low + code * step);
}

/**
 * The features of each cell, each channel on a scale of its own.
 * @param {ArrayBuffer} blob
 * @param {NonNullable<PictureData["ground"]>} ground
 * @returns {Ground}
 */
function groundOf(blob, { grid, channels, lows, highs, values }) {
    const codes = codesOf(blob, values);
    const low = numbersOf(blob, lows);
    const step = numbersOf(blob, highs).map((high, channel) => (high - low[channel]) / greatestCode(codes));
    const feature = (/** @type {number} */ code, /** @type {number} */ at) =>
        low[at % channels] + code * step[at % channels];
    return { grid, channels, features: Float32Array.from(codes, feature) };
}

/**
 * @param {PictureData} data
 * @param {ArrayBuffer} blob
 * @returns {PageMap[]}
 */
function mapsIn({ maps, explained }, blob) {
    return maps.map(({ name, range, of_class: ofClass, grid, values, cell }) => {
        return { name, range, ofClass, explains: ofClass ? explained : null, grid, values: numbersOf(blob, values), cell };
    });
}

/**
 * The picture's arrays, by their names. The weights of attention, the features of channels and the class activations stay codes:
 * there are many, and few of them are looked at.
 * @param {PictureData} data
 * @param {ArrayBuffer} blob
 * @returns {Pick<Picture, "maps" | "attention" | "gates" | "probabilities" | "classes" | "ground">}
 */
function arraysOf(data, blob) {
    const { probabilities, classes, ground } = data;
    const maps = mapsIn(data, blob);
    const attention = data.attention.map(({ stage, grid, heads, mean, scales, weights }) => {
        return { stage, grid, heads, mean, scales: numbersOf(blob, scales), codes: codesOf(blob, weights) };
    });
    const gates = data.gates.map(({ stage, channel, features }) => {
        return { stage, channel: numbersOf(blob, channel), features: features && featuresOf(blob, features) };
    });
    return {
        maps,
        attention,
        gates,
        probabilities: probabilities && numbersOf(blob, probabilities),
        classes: classes && {
            grid: classes.grid,
            of: classes.of,
            scales: numbersOf(blob, classes.scales),
            codes: codesOf(blob, classes.values),
        },
        ground: ground && groundOf(blob, ground),
    };
}

/**
 * @param {ArrayBuffer} blob
 * @param {NonNullable<PictureData["gates"][number]["features"]>} features
 * @returns {Features}
 */
function featuresOf(blob, { grid, lows, highs, values }) {
    return { grid, lows: numbersOf(blob, lows), highs: numbersOf(blob, highs), codes: codesOf(blob, values) };
}

/**
 * The likeliest classes and their probabilities.
 * @param {Float32Array} probabilities
 * @returns {[number, number][]}
 */
function likeliestOf(probabilities) {
    const order = Array.from(probabilities, (_, id) => id).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    return order.slice(0, 5).map((id) => [id, probabilities[id]]);
}

/**
 * How likely a class is; null where the page does not know.
 * @param {Picture} picture
 * @param {number} id
 */
function probabilityOf({ probabilities, top }, id) {
    return probabilities?.[id] ?? top.find(([of]) => of === id)?.[1] ?? null;
}

/**
 * Maps with others besides; one of the same name is in the place of the one before.
 * @param {PageMap[]} maps
 * @param {PageMap[]} added
 */
function withMaps(maps, added) {
    return [...new Map([...maps, ...added].map((map) => [map.name, map])).values()];
}

/**
 * @param {number} index
 * @param {IndexedPicture} entry
 * @param {PictureData} data
 * @returns {Promise<Picture>}
 */
async function readPicture(index, { name, top }, data) {
    const image = new Image();
    image.src = data.photo;
    const [blob] = await Promise.all([unzipped(data.blob), image.decode()]);
    const arrays = arraysOf(data, blob);
    arrays.maps = withMaps(arrays.maps, data.added ?? []);
    return { index, name, frame: 0, data, image, top: arrays.probabilities ? likeliestOf(arrays.probabilities) : top, ...arrays };
}
