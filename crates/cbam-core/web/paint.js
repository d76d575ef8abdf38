// A map as colours over a picture: `crates/cbam-core/src/render/{painting,contour}.rs`.

/**
 * @typedef {object} Look
 * @property {string} colormap
 * @property {number} alpha
 * @property {Opacity} opacity
 * @property {Resample} resample
 * @property {Scale} scale
 * @property {number | null} contour   the share of the map's mass that a line is drawn around
 */

/** @typedef {{ left: number, top: number, width: number, height: number }} Part */
/** @typedef {{ halo: number, line: number }} Cover   how much of a pixel a line and its dark halo cover */

/** How many colours a table has. */
const COLOURS = 1024;

/** The power of the scaled value by which the strength grows. */
const GROWTH = 0.6;

/**
 * The colours of a map over a picture of a size: red, green, blue and alpha (straight) of each pixel.
 * @param {Pick<PageMap, "values" | "grid" | "range" | "cell">} map
 * @param {Size} size
 * @param {Pick<Look, "alpha" | "opacity" | "resample" | "contour">} look
 * @param {Limits} limits   the values that become the two ends of the colours
 * @param {Uint8Array} table   the colours
 * @param {Part} [part]   where in the picture the map lies; by default everywhere
 * @returns {Uint8ClampedArray<ArrayBuffer>}
 */
function layer(map, size, look, limits, table, part = { left: 0, top: 0, width: size[0], height: size[1] }) {
    const rgba = new Uint8ClampedArray(4 * size[0] * size[1]);
    /** @type {Size} */
    const own = [part.width, part.height];
    const rows = rowsOf(map.values, map.grid, own, look.resample, topOf(map.range));
    const canvas = { rgba, width: size[0], part };
    colourRows(canvas, rows, look, limits, table);
    if (look.contour !== null) drawContour(canvas, allOf(rows), look.contour);
    if (map.cell) drawOutline(canvas, map.cell, map.grid);
    return rgba;
}

/** @typedef {[number, number, number]} Colour   red, green and blue */

/**
 * The colours of a line and of the halo on both sides of it, and how strong the halo is.
 * @typedef {{ line: Colour, halo: Colour, strength: number }} Ink
 */

/** @type {Ink} */
const WHITE_INK = { line: [255, 255, 255], halo: [0, 0, 0], strength: 0.6 };

/**
 * @typedef {object} PaintedPart
 * @property {Uint8ClampedArray<ArrayBuffer>} rgba
 * @property {number} width
 * @property {Part} part
 * @property {Ink} [ink]   what lines are drawn with; else white, on a dark halo
 */

/**
 * How strong the colour of a scaled value is.
 * @param {Pick<Look, "alpha" | "opacity">} look
 * @param {number} value
 */
function strengthOf({ alpha, opacity }, value) {
    return opacity === "attention" ? alpha * value ** GROWTH : alpha;
}

/**
 * @param {PaintedPart} canvas
 * @param {Rows} rows
 * @param {Pick<Look, "alpha" | "opacity">} look
 * @param {Limits} limits
 * @param {Uint8Array} table
 */
function colourRows({ rgba, width, part }, rows, look, limits, table) {
    const pixels = new Uint32Array(rgba.buffer);
    const colours = pixelsOf(look, table);
    const values = new Float32Array(rows.width);
    const low = limits.low;
    const span = Math.fround(limits.high - low);
    for (let row = 0; row < rows.height; row++) {
        rows.fill(row, values);
        const from = (part.top + row) * width + part.left;
        for (let column = 0; column < values.length; column++) {
            const share = Math.fround(Math.fround(values[column] - low) / span);
            // As `scaled` has it; written out, because this is the innermost loop.
            const inside = share > 0 ? (share < 1 ? share : 1) : 0;
            // Adding 2²³ rounds as the program does: between two places to the even one.
            pixels[from + column] = colours[Math.fround(Math.fround(inside * (COLOURS - 1)) + 0x800000) - 0x800000];
        }
    }
}

/**
 * The pixel of each colour of a table.
 * @param {Pick<Look, "alpha" | "opacity">} look
 * @param {Uint8Array} table
 */
function pixelsOf(look, table) {
    const rgba = new Uint8ClampedArray(4 * COLOURS);
    for (let place = 0; place < COLOURS; place++) {
        rgba.set(table.subarray(3 * place, 3 * place + 3), 4 * place);
        rgba[4 * place + 3] = Math.round(255 * strengthOf(look, place / (COLOURS - 1)));
    }
    return new Uint32Array(rgba.buffer);
}

/**
 * A line around the map's highest part, which holds so much of its mass.
 * @param {PaintedPart} canvas
 * @param {Float32Array} map   as large as the part
 * @param {number} mass
 */
function drawContour(canvas, map, mass) {
    drawLineAt(canvas, map, massThreshold(map, mass));
}

/**
 * A line where the map crosses a threshold.
 * @param {PaintedPart} canvas
 * @param {Float32Array} map   as large as the part
 * @param {number} threshold
 */
function drawLineAt(canvas, map, threshold) {
    const contour = { threshold, halfWidth: halfWidthOf(canvas.part) };
    for (let row = 0; row < canvas.part.height; row++) {
        for (let column = 0; column < canvas.part.width; column++) {
            const cover = contourCover(contour, map, canvas.part, row, column);
            if (cover) drawLine(canvas, row, column, cover);
        }
    }
}

/**
 * Half a line's width on a picture: it is wider on larger pictures.
 * @param {Pick<Part, "width" | "height">} size
 */
function halfWidthOf({ width, height }) {
    return Math.max(0.8, Math.min(width, height) / 500);
}

/**
 * How far from the middle of a line the end of its halo is, with half a pixel for its soft edge.
 * @param {number} halfWidth
 */
function reachOf(halfWidth) {
    return 2 * halfWidth + 1;
}

/**
 * @param {number} distance   from the middle of the line
 * @param {number} halfWidth
 * @returns {Cover}
 */
function coverAt(distance, halfWidth) {
    const cover = (/** @type {number} */ half) => Math.min(1, Math.max(0, half + 0.5 - distance));
    return { halo: cover(2 * halfWidth + 0.5), line: cover(halfWidth) };
}

/**
 * How much of a pixel the line covers where the map crosses the threshold; null away from it. The distance to the line is
 * |v - t| / |∇v| to first order, so the line has the same width everywhere.
 * @param {{ threshold: number, halfWidth: number }} contour
 * @param {Float32Array} map
 * @param {Pick<Part, "width" | "height">} size
 * @param {number} row
 * @param {number} column
 * @returns {Cover | null}
 */
function contourCover({ threshold, halfWidth }, map, { width, height }, row, column) {
    const at = row * width + column;
    const [left, right] = [Math.max(0, column - 1), Math.min(width - 1, column + 1)];
    const [above, below] = [Math.max(0, row - 1), Math.min(height - 1, row + 1)];
    const across = (map[row * width + right] - map[row * width + left]) / Math.max(1, right - left);
    const down = (map[below * width + column] - map[above * width + column]) / Math.max(1, below - above);
    const steepness = Math.sqrt(across * across + down * down);
    const away = Math.abs(map[at] - threshold);
    // A flat place lies on no line, even at the threshold.
    if (steepness === 0 || away >= reachOf(halfWidth) * steepness) return null;
    return coverAt(away / steepness, halfWidth);
}

/**
 * Draws a line's pixel. Line and halo are a bright and a dark one, so that they are seen on any picture.
 * @param {PaintedPart} canvas
 * @param {number} row
 * @param {number} column
 * @param {Cover} cover
 */
function drawLine({ rgba, width, part, ink = WHITE_INK }, row, column, cover) {
    const at = 4 * ((part.top + row) * width + part.left + column);
    const below = rgba[at + 3] / 255;
    const { line } = cover;
    const halo = ink.strength * cover.halo;
    const seen = (1 - halo) * (1 - line); // how much of what lies below
    const alpha = 1 - (1 - below) * seen;
    for (let channel = 0; channel < 3; channel++) {
        const drawn = ink.halo[channel] * halo * (1 - line) + ink.line[channel] * line;
        rgba[at + channel] = Math.round((rgba[at + channel] * below * seen + drawn) / alpha);
    }
    rgba[at + 3] = Math.round(255 * alpha);
}

/**
 * A line around a cell of the map's grid.
 * @param {PaintedPart} canvas
 * @param {[number, number]} cell
 * @param {Grid} grid
 */
function drawOutline(canvas, [row, column], [rows, columns]) {
    const [across, down] = [canvas.part.width / columns, canvas.part.height / rows];
    drawBox(canvas, { x: (column + 0.5) * across, y: (row + 0.5) * down }, across, down);
}

/**
 * A line around a box.
 * @param {PaintedPart} canvas
 * @param {{ x: number, y: number }} middle
 * @param {number} across   its width
 * @param {number} down   its height
 */
function drawBox(canvas, middle, across, down) {
    const { part } = canvas;
    const halfWidth = halfWidthOf(part);
    const reach = reachOf(halfWidth);
    const [top, bottom] = within(middle.y, down / 2 + reach, part.height);
    const [left, right] = within(middle.x, across / 2 + reach, part.width);
    for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
            const outside = Math.max(
                Math.abs(x + 0.5 - middle.x) - across / 2,
                Math.abs(y + 0.5 - middle.y) - down / 2,
            );
            const distance = Math.abs(outside);
            if (distance < reach) drawLine(canvas, y, x, coverAt(distance, halfWidth));
        }
    }
}

/**
 * The whole places at most so far from the middle, of `size`.
 * @param {number} middle
 * @param {number} reach
 * @param {number} size
 */
function within(middle, reach, size) {
    return [Math.max(0, Math.floor(middle - reach)), Math.min(size, Math.ceil(middle + reach))];
}

/**
 * The part of a picture of this size that maps lie over: `AttentionMap::part_of`.
 * @param {Pick<PictureData, "seen" | "size">} data
 * @param {Size} size
 * @returns {Part}
 */
function partOf({ seen, size: picture }, [width, height]) {
    if (!seen) return { left: 0, top: 0, width, height };
    const [left, across] = alongSide(seen[0], seen[2], picture[0], width);
    const [top, down] = alongSide(seen[1], seen[3], picture[1], height);
    return { left, top, width: across, height: down };
}

/**
 * A part of a picture's side on one of another length: where it begins, and how long it is.
 * @param {number} from
 * @param {number} own
 * @param {number} picture
 * @param {number} side
 */
function alongSide(from, own, picture, side) {
    const onSide = (/** @type {number} */ place) => Math.min(side, Math.round((place * side) / picture));
    const first = Math.min(side - 1, onSide(from));
    return [first, Math.max(1, onSide(from + own) - first)];
}

/**
 * Lays a layer over a photo's pixels, in their own memory.
 * @param {Uint8ClampedArray} photo
 * @param {Uint8ClampedArray} over
 */
function layOver(photo, over) {
    for (let at = 0; at < photo.length; at += 4) {
        const share = over[at + 3] / 255;
        for (let channel = at; channel < at + 3; channel++) {
            photo[channel] = Math.round(photo[channel] + (over[channel] - photo[channel]) * share);
        }
    }
}
