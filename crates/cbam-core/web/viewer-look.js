// How maps are drawn: colours, strength, range, enlarging, the line around the highest part.

/** @param {Viewer} viewer */
function setUpLook(viewer) {
    const { app, store, restyle } = viewer;
    byId("reset", HTMLButtonElement).addEventListener("click", () => resetLook(viewer));
    const showOpacity = radios(byId("opacity", HTMLElement), OPACITIES, (opacity) => chooseOpacity(viewer, opacity));
    const showResample = radios(byId("resample", HTMLElement), RESAMPLES, (resample) => restyle({ resample }));
    store.when(["look"], () => {
        showOpacity(store.state.look.opacity);
        showResample(store.state.look.resample);
    });
    setUpColours(app, viewer);
    setUpSlider(
        "alpha",
        viewer,
        ({ alpha }) => alpha,
        (alpha) => ({ alpha }),
    );
    setUpSlider(
        "contour",
        viewer,
        ({ contour }) => contour,
        (contour) => ({ contour }),
    );
    const line = byId("contour-on", HTMLInputElement);
    line.addEventListener("change", () => toggleContour(viewer));
    store.when(["look"], () => {
        line.checked = store.state.look.contour !== null;
        byId("contour", HTMLInputElement).disabled = !line.checked;
    });
    setUpScale(viewer);
}

/** @type {[Opacity, string][]} */
const OPACITIES = [
    ["attention", "As the map"],
    ["constant", "Even"],
];

/** @type {[Resample, string][]} */
const RESAMPLES = [
    ["nearest", "Cells"],
    ["bilinear", "Bilinear"],
    ["bicubic", "Bicubic"],
];

/** @param {Viewer} viewer */
function resetLook({ app, store }) {
    store.set({ look: lookOf(app.head.look) });
}

/**
 * Each kind has its usual strength.
 * @param {Viewer} viewer
 * @param {Opacity} opacity
 */
function chooseOpacity({ app, restyle }, opacity) {
    restyle({ opacity, alpha: app.head.usual.alpha[opacity] });
}

/** @param {Viewer} viewer */
function toggleContour({ store, restyle }) {
    restyle({ contour: store.state.look.contour === null ? 0.5 : null });
}

/**
 * @param {App} app
 * @param {Viewer} viewer
 */
function setUpColours({ head, tables }, { store, restyle }) {
    const box = byId("colormap", HTMLElement);
    const show = radios(
        box,
        head.colours.names.map((name) => [name, name]),
        (colormap) => restyle({ colormap }),
    );
    for (const [at, name] of head.colours.names.entries()) {
        const bar = make("canvas", { "aria-hidden": "true" });
        drawBar(bar, tables.get(name) ?? new Uint8Array(3 * COLOURS), (part) => part);
        box.querySelectorAll("label span")[at].prepend(bar);
    }
    store.when(["look"], () => show(store.state.look.colormap));
}

/**
 * A slider of a part of 1, with its number in words.
 * @param {string} id
 * @param {Viewer} viewer
 * @param {(look: Look) => number | null} read
 * @param {(value: number) => Partial<Look>} write
 */
function setUpSlider(id, { store, restyle }, read, write) {
    const slider = byId(id, HTMLInputElement);
    const words = byId(`${id}-words`, HTMLOutputElement);
    slider.addEventListener("input", () => restyle(write(slider.valueAsNumber)));
    store.when(["look"], () => {
        const value = read(store.state.look);
        words.value = value === null ? "" : value.toFixed(2);
        if (value !== null) slider.value = String(value);
    });
}

/** @param {Viewer} viewer */
function setUpScale(viewer) {
    const { app, store, shown, paint } = viewer;
    const show = radios(byId("scale", HTMLElement), scalesOf(app.head), (kind) => chooseScale(viewer, kind));
    const range = makeRange(byId("range", HTMLElement), (ends) => {
        const { kind } = store.state.look.scale;
        viewer.restyle({ scale: { kind: isInValues(kind) ? "fixed" : "percentile", ...ends } });
    });
    store.when(SHOWN, () => {
        const { scale } = store.state.look;
        const [map, { table, limits }] = [shown(), paint(shown())];
        const state = rangeOf(map, scale, limits);
        show(scale.kind);
        range.show(state);
        const sorted = map.values.slice().sort();
        drawBar(range.track, table, (part) => {
            const value = state.least + part * (state.most - state.least);
            return scaled(isInValues(scale.kind) ? value : percentile(sorted, value), limits);
        });
    });
}

/**
 * The kinds of ranges, and their words.
 * @param {Head} head
 * @returns {[Scale["kind"], string][]}
 */
function scalesOf({ film, spans }) {
    return [
        ["image", film ? "Frame" : "Image"],
        ["percentile", "Percentiles"],
        ["fixed", "Values"],
        ...(spans ? [/** @type {[Scale["kind"], string]} */ (["run", film ? "Film" : "Run"])] : []),
    ];
}

/**
 * Whether the ends of a range are values of the map, and not percentiles.
 * @param {Scale["kind"]} kind
 */
function isInValues(kind) {
    return kind === "fixed" || kind === "run";
}

/**
 * What the two thumbs show of a range.
 * @param {PageMap} map
 * @param {Scale} scale
 * @param {Limits} limits
 * @returns {RangeState}
 */
function rangeOf(map, scale, limits) {
    if (!isInValues(scale.kind)) {
        const { low, high } = "low" in scale ? scale : { low: 0, high: 100 };
        return { low, high, least: 0, most: 100, step: 0.5 };
    }
    const greatest = map.range === "unit" ? 1 : Math.max(limits.high, map.values[peakOf(map.values)]);
    const most = roundedUp(greatest);
    return { ...limits, least: Math.min(0, limits.low), most, step: most / 200 };
}

/**
 * The next number of two digits.
 * @param {number} value
 */
function roundedUp(value) {
    if (!(value > 0)) return 1;
    const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
    return Number((Math.ceil(value / unit) * unit).toPrecision(2));
}

/**
 * Values begin where the range before them is.
 * @param {Viewer} viewer
 * @param {Scale["kind"]} kind
 */
function chooseScale({ shown, paint, restyle }, kind) {
    if (kind === "image" || kind === "run") return restyle({ scale: { kind } });
    if (kind === "percentile") return restyle({ scale: { kind, low: 2, high: 98 } });
    const { low, high } = paint(shown()).limits;
    const ends = low < high ? { low: rounded(low), high: rounded(high) } : { low: 0, high: 1 };
    return restyle({ scale: { kind, ...ends } });
}

/**
 * To three digits, as one types them.
 * @param {number} value
 */
function rounded(value) {
    return Number(value.toPrecision(3));
}
