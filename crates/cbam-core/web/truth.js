// Where the object is, as the truth has it: lines around its boxes, or around its mask.

/**
 * Purple between two white edges. The line around a map's highest part is white between dark ones, so the two are told apart by whoever
 * sees no colours, too; each has a bright and a dark part, and so is seen on any photo.
 * @type {Ink}
 */
const TRUTH_INK = { line: [200, 0, 200], halo: [255, 255, 255], strength: 0.9 };

/** A softened mask's edge: a little under a half, which is all that is left of a line of single cells. */
const MASK_EDGE = 0.45;

/**
 * The outline of the truth over a picture of a size: red, green, blue and alpha (straight) of each pixel.
 * @param {Pick<Truth, "boxes" | "mask">} truth
 * @param {Size} size
 * @returns {Uint8ClampedArray<ArrayBuffer>}
 */
function truthLayer({ boxes, mask }, [width, height]) {
    const rgba = new Uint8ClampedArray(4 * width * height);
    const canvas = { rgba, width, part: { left: 0, top: 0, width, height }, ink: TRUTH_INK };
    if (mask) drawLineAt(canvas, maskOnPicture(mask, [width, height]), MASK_EDGE);
    for (const box of boxes) drawBoxInside(canvas, box);
    return rgba;
}

/**
 * The cells of a mask, 0 or 1.
 * @param {NonNullable<Truth["mask"]>} mask
 */
function cellsOfMask({ grid, bits }) {
    const bytes = bytesOfBase64(bits);
    const cells = new Float32Array(grid[0] * grid[1]);
    return cells.map((_, cell) => (bytes[cell >> 3] >> (7 - (cell & 7))) & 1);
}

/**
 * A map, each cell half of itself along each axis and half of its neighbours: the steps of a mask's edge become a slope.
 * @param {Float32Array} values
 * @param {Grid} grid
 */
function softened(values, [rows, columns]) {
    const along = (/** @type {Float32Array} */ of, /** @type {number} */ step, /** @type {number} */ count) =>
        of.map((value, cell) => {
            const place = Math.floor(cell / step) % count;
            const before = place > 0 ? of[cell - step] : value;
            return (before + 2 * value + (place < count - 1 ? of[cell + step] : value)) / 4;
        });
    return along(along(values, 1, columns), columns, rows);
}

/**
 * A mask as a map of a picture's size. Its edge is made as soft as a line is wide: on a hard one there is no room for it.
 * @param {NonNullable<Truth["mask"]>} mask
 * @param {Size} size
 */
function maskOnPicture(mask, [width, height]) {
    const reach = reachOf(halfWidthOf({ width, height }));
    const cells = (/** @type {number} */ own, /** @type {number} */ side) => Math.min(own, Math.ceil(side / reach));
    const values = softened(cellsOfMask(mask), mask.grid);
    /** @type {Grid} */
    const grid = [cells(mask.grid[0], height), cells(mask.grid[1], width)];
    const soft = allOf(rowsOf(values, mask.grid, [grid[1], grid[0]], "bilinear", 1));
    return allOf(rowsOf(soft, grid, [width, height], "bilinear", 1));
}

/**
 * A line around a box. One along the picture's edge is drawn inside it.
 * @param {PaintedPart} canvas
 * @param {Truth["boxes"][number]} box
 */
function drawBoxInside(canvas, [x0, y0, x1, y1]) {
    const { width, height } = canvas.part;
    const inset = 2 * halfWidthOf(canvas.part);
    const inside = (/** @type {number} */ part, /** @type {number} */ side) =>
        Math.min(side - inset, Math.max(inset, part * side));
    const [left, right, top, bottom] = [inside(x0, width), inside(x1, width), inside(y0, height), inside(y1, height)];
    drawBox(canvas, { x: (left + right) / 2, y: (top + bottom) / 2 }, right - left, bottom - top);
}

/**
 * Whether there is anything to outline.
 * @param {Truth | null | undefined} truth
 * @returns {truth is Truth}
 */
function hasOutline(truth) {
    return Boolean(truth && (truth.mask || truth.boxes.length));
}

/**
 * Whether the network is right; null where that is not known.
 * @param {Truth | null | undefined} truth
 */
function isRight(truth) {
    return truth && truth.rank !== null ? truth.rank === 0 : null;
}

/**
 * How wrong the network is.
 * @param {number} rank
 */
function rankInWords(rank) {
    return rank === 1 ? "1 class comes before it" : `${grouped(rank)} classes come before it`;
}
