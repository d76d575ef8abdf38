// The truth over the photo, and what was measured of the map that is shown, in a report.

/**
 * What is known of a picture, if it can be outlined.
 * @param {Picture} picture
 */
function truthOf({ data }) {
    return hasOutline(data.truth) ? data.truth : null;
}

/** @param {Viewer} viewer */
function setUpTruth({ store }) {
    const canvases = ["truth", "truth-other"].map((id) => byId(id, HTMLCanvasElement));
    const show = byId("show-truth", HTMLInputElement);
    show.addEventListener("change", () => store.set({ truth: show.checked }));
    /** @type {WeakMap<HTMLCanvasElement, unknown[]>} */
    const drawn = new WeakMap();
    const draw = () => {
        const { picture, truth } = store.state;
        const outline = truth ? truthOf(picture) : null;
        for (const canvas of canvases) {
            canvas.hidden = !outline;
            if (!outline || canvas.clientWidth === 0) continue;
            const size = sizeOnScreen(canvas.clientWidth, picture.data.size);
            const wanted = [picture, ...size];
            if (drawn.get(canvas)?.every((value, at) => value === wanted[at])) continue;
            drawn.set(canvas, wanted);
            drawTruth(canvas, outline, size);
        }
    };
    store.when(["picture", "truth", "compare"], () => {
        const { picture, truth } = store.state;
        byId("truth-field", HTMLElement).hidden = truthOf(picture) === null;
        show.checked = truth;
        draw();
    });
    new ResizeObserver(draw).observe(byId("photo", HTMLElement));
}

/** @param {Viewer} viewer */
function setUpMeasured({ app, store, map }) {
    const { report } = app.head;
    byId("measured-panel", HTMLElement).hidden = !report;
    if (!report) return;
    const pictures = readPictures(app.head.pictures);
    store.when(["picture"], () => {
        byId("truth-words", HTMLElement).replaceChildren(...wordsOfTruth(app.head, store.state.picture));
    });
    store.when(["picture", "map"], () => {
        const { picture } = store.state;
        const shown = map(store.state.map);
        const rows = report.measures.flatMap((measure) => measureRow(pictures, picture.index, shown.name, measure));
        const table = byId("measured", HTMLTableElement);
        table.tBodies[0].replaceChildren(...rows);
        table.classList.toggle("none", rows.length === 0);
        byId("measured-of", HTMLElement).textContent = captionOfMeasures(app.head, picture, shown, rows.length > 0);
    });
}

/**
 * @param {Head} head
 * @param {Picture} picture
 * @param {PageMap} map
 * @param {boolean} isMeasured
 */
function captionOfMeasures({ network }, { data }, { name, ofClass }, isMeasured) {
    if (!isMeasured) return `${name} was not measured on this picture.`;
    // Whatever class is chosen since: it was measured for this one.
    return ofClass && data.explained !== null ? `${name}, for ${className(network, data.explained)}` : name;
}

/**
 * The true class, whether the network is right, and whether the object is small.
 * @param {Head} head
 * @param {Picture} picture
 */
function wordsOfTruth({ network }, { data }) {
    const { truth } = data;
    if (!truth) return [];
    /** @type {[string, string, string][]} */
    const pairs = [];
    if (truth.class !== null) pairs.push(["Truth", className(network, truth.class), ""]);
    if (truth.rank !== null) {
        const right = truth.rank === 0;
        pairs.push(["Answer", right ? "right" : `wrong: ${rankInWords(truth.rank)}`, right ? "" : "warning"]);
    }
    if (truth.small) pairs.push(["Object", "small", ""]);
    return pairs.flatMap(([name, words, kind]) => [make("dt", {}, name), make("dd", { class: kind }, words)]);
}

/**
 * A measure of a picture, and its place among all; nothing where it was not measured.
 * @param {Indexed[]} pictures
 * @param {number} index
 * @param {string} map
 * @param {Measure} measure
 */
function measureRow(pictures, index, map, measure) {
    const values = pictures.flatMap(({ index: of, entry }) => {
        const value = measured(entry, map, measure.key);
        return value === null ? [] : [{ of, value }];
    });
    const own = values.find(({ of }) => of === index)?.value;
    if (own === undefined) return [];
    const before = values.filter(({ value }) => (measure.high ? value > own : value < own)).length;
    const place = YES_OR_NO.has(measure.key) ? "" : `${grouped(before + 1)} of ${grouped(values.length)}`;
    const cells = [make("td", {}, measureInWords(measure, own)), make("td", {}, place)];
    return [make("tr", { "data-measure": measure.key }, make("th", { scope: "row" }, measure.words), ...cells)];
}
