// A picture of a gallery: small, with a map and the truth over it, and what is said of it.

/** @typedef {ReturnType<typeof makeCard>} Card */

/**
 * A picture of the gallery, which is drawn when it comes to be seen.
 * @param {App} app
 * @param {Indexed} picture
 */
function makeCard({ head, tables, watch, live }, { index, entry }) {
    const [width, height] = entry.size;
    const [image, overlay, value] = [make("img", { alt: "" }), make("canvas"), make("span", { class: "value" })];
    const shot = make("span", { class: "shot" }, image, overlay);
    const outline = hasOutline(entry.truth) ? make("canvas", { class: "truth" }) : null;
    if (outline) shot.append(outline);
    const name = make("span", { class: "name", title: entry.name }, fileOf(entry.name));
    const said = make("span", { class: "said" }, ...classInWords(head, entry));
    const link = make("a", { href: `#${index}` }, shot, name, said, value, ...wrongInWords(head, entry));
    const item = make("li", { class: "card", "data-index": index }, link);
    if (live) {
        link.setAttribute("aria-keyshortcuts", "Delete");
        item.append(removal(live, index, entry.name, { tabindex: -1 }));
    }
    item.style.setProperty("--ratio", String(Math.min(3, Math.max(0.4, width / height))));
    const table = tables.get(head.look.colormap) ?? new Uint8Array(3 * COLOURS);
    let isSeen = false;
    /** @type {string | null} */
    let map = null;
    const draw = () => isSeen && drawCard(overlay, entry, map, head.look, table);
    watch(
        item,
        () => {
            isSeen = true;
            if (!image.src && entry.thumb) image.src = entry.thumb;
            draw();
            if (outline && entry.truth) drawTruth(outline, entry.truth, sizeOnScreen(outline.clientWidth, entry.size));
        },
        () => {
            isSeen = false;
            for (const canvas of shot.querySelectorAll("canvas")) canvas.width = 0; // its memory is another's
        },
    );
    return {
        item,
        /** Lays a map over it: in a gallery without a report the only one. */
        showMap: (/** @type {string | null} */ name) => {
            map = name;
            draw();
        },
        /** Says what it is sorted by. */
        showNumber: (/** @type {Filter} */ filter) =>
            (value.textContent = numberInWords(head.report, entry, filter)),
    };
}

/**
 * @param {Head} head
 * @param {IndexedPicture} entry
 */
function classInWords({ network }, entry) {
    const listed = listedClass(entry);
    const words = [];
    if (listed) words.push(make("span", {}, className(network, listed[0])));
    if (listed && listed[1] !== null) words.push(make("span", { class: "part" }, percent(listed[1])));
    if (entry.damaged !== null) words.push(make("span", { class: "warning", title: entry.damaged }, "damaged"));
    return words;
}

/**
 * What the class is in truth, where the network is wrong.
 * @param {Head} head
 * @param {IndexedPicture} entry
 */
function wrongInWords({ network }, { truth }) {
    if (!truth?.rank || truth.class === null) return [];
    const name = className(network, truth.class);
    return [make("span", { class: "wrong", title: `${name}: ${rankInWords(truth.rank)}` }, `wrong, in truth ${name}`)];
}

/**
 * What a picture is sorted by, where nothing else on its card says it.
 * @param {Evaluation | null} report
 * @param {IndexedPicture} entry
 * @param {Filter} filter
 */
function numberInWords(report, entry, filter) {
    const { key } = filter;
    const number = numberOf(entry, filter);
    if (number === null || key === "probability") return "";
    const measure = measureOf(report, key);
    if (measure) return `${measure.words} ${measureInWords(measure, number)}`;
    return `${key} ${key === "coverage" ? percent(number) : number.toFixed(2)}`;
}

/**
 * The index holds maps on their scales already.
 * @param {HTMLCanvasElement} canvas
 * @param {IndexedPicture} entry
 * @param {string | null} name
 * @param {Head["look"]} look
 * @param {Uint8Array} table
 */
function drawCard(canvas, entry, name, look, table) {
    const { maps, size } = entry;
    const map = name === null ? Object.values(maps).at(0) : maps[name];
    canvas.hidden = !map;
    if (!map) return;
    const codes = bytesOfBase64(map.values);
    const values = numbersOnScale(codes, 0, codes.length, 0, 1);
    const own = sizeOnScreen(canvas.clientWidth, size);
    /** @type {Parameters<typeof layer>[0]} */
    const scaledMap = { values, grid: map.grid, range: "unit", cell: null };
    // A line would need the map's own values.
    const colours = layer(scaledMap, own, { ...look, contour: null }, { low: 0, high: 1 }, table, partOf(entry, own));
    [canvas.width, canvas.height] = own;
    penOf(canvas).putImageData(new ImageData(colours, ...own), 0, 0);
}
