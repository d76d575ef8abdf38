// What a view of a picture is: its state, and what follows from it.

/**
 * @typedef {object} App
 * @property {Head} head
 * @property {Map<string, Uint8Array>} tables   colours, by their names
 * @property {Watch} watch
 * @property {(index: number) => Promise<PictureData>} dataOf   a picture's data
 * @property {LiveActs | null} live   what only a page can do that has a network behind it
 */

/**
 * @typedef {object} LiveActs
 * @property {(index: number, id: number, isKept: boolean) => void} askClass   a class was chosen; if its maps are not kept, they are made
 * @property {(index: number) => void} remove   takes a picture off the list
 */

/** @typedef {[number, number]} Point   a pixel of the upright picture, [x, y] */
/** @typedef {"map" | Direction} Mode */

/**
 * @typedef {object} ViewState
 * @property {Picture} picture
 * @property {number | null} chosen   the class that maps are of
 * @property {string} map   the name of the map
 * @property {string} other   that of the one that it is compared with
 * @property {"off" | "side" | "swipe"} compare
 * @property {number} swipe   how much of the width is the first map's
 * @property {Mode} mode
 * @property {number} stage   which attention
 * @property {number | null} head   which head of it; null is the mean over heads
 * @property {Point} cursor
 * @property {boolean} pointing   whether somebody points at the picture
 * @property {Point | null} pin
 * @property {boolean} truth   whether its outline lies over the photo
 * @property {Look} look
 * @property {number} gate   which channel gate
 * @property {number} rank   which channel of it, from the strongest
 * @property {number} frame   which frame of a film is shown
 * @property {number} drawn   when the last was shown of which all is drawn: not all is while a film plays
 */

/** @typedef {ReturnType<typeof makeViewer>} Viewer */
/** @typedef {{ look: Look, limits: Limits, table: Uint8Array }} Paint   how a map is drawn */

/**
 * Calculates again only when an argument is another one.
 * @template {unknown[]} Arguments
 * @template Result
 * @param {(...values: Arguments) => Result} calculate
 * @returns {(...values: Arguments) => Result}
 */
function remembered(calculate) {
    /** @type {{ values: Arguments, result: Result } | null} */
    let last = null;
    return (...values) => {
        if (!last || values.some((value, at) => value !== last?.values[at])) {
            last = { values, result: calculate(...values) };
        }
        return last.result;
    };
}

/**
 * Whether a pixel lies in what the network saw.
 * @param {PictureData} data
 * @param {Point} point
 */
function isSeen(data, [x, y]) {
    const { left, top, width, height } = partOf(data, data.size);
    return x >= left && y >= top && x < left + width && y < top + height;
}

/**
 * The cell of a grid that a pixel lies in; the nearest, of a pixel beside what the network saw.
 * @param {PictureData} data
 * @param {Grid} grid
 * @param {Point} point
 * @returns {[number, number]}   row and column
 */
function cellAt(data, [rows, columns], [x, y]) {
    const { left, top, width, height } = partOf(data, data.size);
    const place = (/** @type {number} */ from, /** @type {number} */ side, /** @type {number} */ cells) =>
        Math.min(cells - 1, Math.max(0, Math.floor(((from + 0.5) / side) * cells)));
    return [place(y - top, height, rows), place(x - left, width, columns)];
}

/**
 * The pixel in the middle of a cell.
 * @param {PictureData} data
 * @param {Grid} grid
 * @param {[number, number]} cell
 * @returns {Point}
 */
function middleOf(data, [rows, columns], [row, column]) {
    const { left, top, width, height } = partOf(data, data.size);
    return [left + Math.floor(((column + 0.5) * width) / columns), top + Math.floor(((row + 0.5) * height) / rows)];
}

/**
 * The place of a cell in its grid, in reading order.
 * @param {Grid} grid
 * @param {[number, number]} cell
 */
function placeOf([, columns], [row, column]) {
    return row * columns + column;
}

/**
 * The maps of a picture for a class: those that the page can make are of that, the others stay what they are.
 * @param {PageMap[]} maps   of the class that is explained
 * @param {Picture} picture
 * @param {number | null} chosen
 * @returns {PageMap[]}
 */
function mapsFor(maps, picture, chosen) {
    if (chosen === null || chosen === picture.data.explained) return maps;
    const made = mapsOfClass(picture, chosen);
    return maps.map((map) => {
        const own = made.get(map.name);
        return own ? { ...map, ...own, explains: chosen } : map;
    });
}

/**
 * The view of a picture as it opens: what was chosen for the one before stays, as far as this one has it.
 * @param {Picture} picture
 * @param {ViewState} before
 * @returns {Partial<ViewState>}
 */
function viewOf(picture, before) {
    const { maps, attention, gates, data } = picture;
    const named = (/** @type {string} */ name, /** @type {number} */ place) =>
        (maps.find((map) => map.name === name) ?? maps[Math.min(place, maps.length - 1)]).name;
    const map = named(before.map, 0);
    const shown = maps.find(({ name }) => name === map) ?? maps[0];
    const peak = peakOf(shown.values);
    const columns = shown.grid[1];
    const stage = before.stage < attention.length ? before.stage : 0;
    return {
        picture,
        map,
        other: named(before.other, 1),
        chosen: data.explained,
        mode: attention.length ? before.mode : "map",
        stage,
        head: headKept(attention.at(stage), before.head),
        cursor: middleOf(data, shown.grid, [Math.floor(peak / columns), peak % columns]),
        pointing: false,
        pin: null,
        gate: before.gate < gates.length ? before.gate : 0,
        rank: 0,
    };
}

/**
 * The head that was chosen, if an attention has it.
 * @param {Attention | undefined} attention
 * @param {number | null} head
 */
function headKept(attention, head) {
    return attention && head !== null && head < headsShown(attention) ? head : null;
}

/**
 * How many heads can be told apart.
 * @param {Attention} attention
 */
function headsShown({ heads, mean }) {
    return mean ? 0 : heads;
}

/**
 * The look that the page was made with.
 * @param {Head["look"]} look
 * @returns {Look}
 */
function lookOf({ colormap, alpha, opacity, resample, scale, contour }) {
    return { colormap, alpha, opacity, resample, scale: scaleOfWord(scale), contour };
}

/**
 * The view of the first picture.
 * @param {Head["look"]} look
 * @param {Picture} picture
 * @param {string | null} map   the map to begin with; null is the page's first
 * @returns {ViewState}
 */
function firstView(look, picture, map) {
    /** @type {ViewState} */
    const start = {
        picture,
        chosen: null,
        map: map ?? look.maps[0] ?? "",
        other: look.maps[1] ?? "gradcam",
        compare: "off",
        swipe: 0.5,
        mode: "map",
        stage: 0,
        head: null,
        cursor: [0, 0],
        pointing: false,
        pin: null,
        truth: true,
        look: lookOf(look),
        gate: 0,
        rank: 0,
        frame: 0,
        drawn: 0,
    };
    return { ...start, ...viewOf(picture, start) };
}

/**
 * @param {App} app
 * @param {Picture} picture
 * @param {string | null} first   the map to begin with; null is the page's first
 */
function makeViewer(app, picture, first) {
    const store = makeStore(firstView(app.head.look, picture, first));
    const { state } = store;
    const mapsOf = remembered(mapsFor);
    const weights = { looks: remembered(mapOfWeights), looked: remembered(mapOfWeights) };

    const maps = () => mapsOf(state.picture.maps, state.picture, state.chosen);
    const map = (/** @type {string} */ name) => maps().find((map) => map.name === name) ?? maps()[0];
    const attention = () => state.picture.attention.at(state.stage) ?? null;
    /** The grid whose cells are pointed at. */
    const grid = () => attention()?.grid ?? map(state.map).grid;
    /** The place of the patch that is asked about. */
    const asked = () => placeOf(grid(), cellAt(state.picture.data, grid(), state.pin ?? state.cursor));
    const weightsOfAsked = (/** @type {Direction} */ direction) => {
        const own = attention();
        return own && weights[direction](own, state.head, asked(), direction);
    };
    /** What lies over the photo. */
    const shown = () => (state.mode === "map" ? null : weightsOfAsked(state.mode)) ?? map(state.map);
    const paint = (/** @type {PageMap} */ map) => ({
        look: state.look,
        limits: limitsOf(map, state.look.scale, app.head.spans),
        table: app.tables.get(state.look.colormap) ?? new Uint8Array(3 * COLOURS),
    });
    return {
        app,
        store,
        maps,
        map,
        attention,
        grid,
        asked,
        weights: weightsOfAsked,
        shown,
        /** What lies over the photo, and what it is compared with. */
        compared: () => (state.compare === "off" ? [shown()] : [shown(), map(state.other)]),
        paint,
        /** Changes the look. */
        restyle: (/** @type {Partial<Look>} */ change) => store.set({ look: { ...state.look, ...change } }),
    };
}

/**
 * Where a patch looks, or what looks at it, as a map.
 * @param {Attention} attention
 * @param {number | null} head
 * @param {Patch} patch
 * @param {Direction} direction
 * @returns {PageMap}
 */
function mapOfWeights(attention, head, patch, direction) {
    const columns = attention.grid[1];
    const [row, column] = [Math.floor(patch / columns), patch % columns];
    const heads = head === null ? "mean over heads" : `head ${head}`;
    return {
        name: `attention ${direction === "looks" ? "from" : "to"} row ${row}, column ${column}; ${attention.stage}, ${heads}`,
        range: "relative",
        ofClass: false,
        explains: null,
        grid: attention.grid,
        values: weightsOf(attention, head, patch, direction),
        cell: [row, column],
    };
}
