// What keys do while a picture is shown.

/**
 * @template Value
 * @param {readonly Value[]} values
 * @param {Value} value
 * @returns {Value}   the one after it; the first, after the last
 */
function after(values, value) {
    return values[(values.indexOf(value) + 1) % values.length];
}

/**
 * @param {Viewer} viewer
 * @returns {KeyGroup[]}
 */
function viewerKeys(viewer) {
    const isActive = () => !byId("viewer", HTMLElement).hidden;
    const hasAttention = () => isActive() && viewer.attention() !== null;
    const hasTruth = () => isActive() && truthOf(viewer.store.state.picture) !== null;
    return [
        { title: "Photo", keys: photoKeys(viewer), isActive },
        { title: "Truth", keys: truthKeys(viewer), isActive: hasTruth },
        { title: "Pictures", keys: STEP_KEYS, isActive: () => isActive() && !byId("steps", HTMLElement).hidden },
        { title: "Patch attention", keys: patchKeys(viewer), isActive: hasAttention },
        { title: "Maps", keys: mapKeys(viewer), isActive },
        { title: "Look", keys: lookKeys(viewer), isActive },
        { title: "Take away", keys: takeKeys(viewer), isActive },
    ];
}

/**
 * @param {Viewer} viewer
 * @returns {Key[]}
 */
function photoKeys({ store }) {
    return [
        { key: "f", words: "Go to the photo", act: () => byId("photo", HTMLElement).focus() },
        { key: "ArrowKeys", words: "From cell to cell; Shift: five" },
        { key: "Enter", words: "Pin the cell, or let it go" },
        {
            key: "Escape",
            words: "Let the cell go",
            act: () => (store.state.pin ? store.set({ pin: null }) : goToGallery()),
        },
    ];
}

/**
 * @param {Viewer} viewer
 * @returns {Key[]}
 */
function truthKeys({ store }) {
    return [{ key: "g", words: "The truth's outline, or not", act: () => store.set({ truth: !store.state.truth }) }];
}

/** @type {Key[]} */
const STEP_KEYS = [
    { key: "n", words: "Next picture", act: () => byId("next", HTMLElement).click() },
    { key: "p", words: "Previous picture", act: () => byId("previous", HTMLElement).click() },
    { key: "Escape", words: "All pictures, once no cell is pinned" },
];

/**
 * @param {Viewer} viewer
 * @returns {Key[]}
 */
function patchKeys(viewer) {
    const { store, attention } = viewer;
    const nextHead = () => {
        const own = attention();
        const heads = own ? Array.from({ length: headsShown(own) }, (_, head) => head) : [];
        store.set({ head: after([null, ...heads], store.state.head) });
    };
    const nextStage = () => {
        const stages = [...store.state.picture.attention.keys()];
        chooseStage(viewer, after(stages, store.state.stage));
    };
    return [
        { key: "m", words: "The map over the photo", act: () => store.set({ mode: "map" }) },
        { key: "l", words: "What the patch looks at", act: () => store.set({ mode: "looks" }) },
        { key: "b", words: "What it is looked at by", act: () => store.set({ mode: "looked" }) },
        { key: "h", words: "Next head", act: nextHead },
        { key: "s", words: "Next layer", act: nextStage },
    ];
}

/**
 * @param {Viewer} viewer
 * @returns {Key[]}
 */
function mapKeys(viewer) {
    const { store } = viewer;
    const swap = () => store.set({ map: store.state.other, other: store.state.map, mode: "map" });
    const compare = () => {
        const kinds = COMPARISONS.map(([value]) => value);
        if (viewer.maps().length > 1) store.set({ compare: after(kinds, store.state.compare) });
    };
    return [
        { key: ".", words: "Next map", act: () => stepMap(viewer, 1) },
        { key: ",", words: "Previous map", act: () => stepMap(viewer, -1) },
        { key: "v", words: "Compare: side by side, swipe, off", act: compare },
        { key: "x", words: "Swap the two maps", act: swap },
        { key: "/", words: "Type a class", act: () => byId("class-input", HTMLElement).focus() },
    ];
}

/**
 * @param {Viewer} viewer
 * @returns {Key[]}
 */
function lookKeys(viewer) {
    const { app, store, restyle } = viewer;
    const recolour = () => restyle({ colormap: after(app.head.colours.names, store.state.look.colormap) });
    const reshape = () =>
        restyle({
            resample: after(
                RESAMPLES.map(([value]) => value),
                store.state.look.resample,
            ),
        });
    const even = () => chooseOpacity(viewer, store.state.look.opacity === "attention" ? "constant" : "attention");
    const strengthen = (/** @type {number} */ by) =>
        restyle({ alpha: Math.round(100 * Math.min(1, Math.max(0, store.state.look.alpha + by))) / 100 });
    return [
        { key: "+", words: "Stronger", act: () => strengthen(0.05) },
        { key: "-", words: "Weaker", act: () => strengthen(-0.05) },
        { key: "c", words: "Next colours", act: recolour },
        { key: "o", words: "Strength as the map, or even", act: even },
        { key: "e", words: "Enlarge otherwise", act: reshape },
        { key: "k", words: "Line around the highest part", act: () => toggleContour(viewer) },
        { key: "0", words: "The look as it was", act: () => resetLook(viewer) },
    ];
}

/**
 * @param {Viewer} viewer
 * @returns {Key[]}
 */
function takeKeys(viewer) {
    return [
        { key: "y", words: "Copy the command", act: () => byId("copy", HTMLElement).click() },
        { key: "d", words: "Download the picture", act: () => savePng(viewer) },
        { key: "a", words: "Download the map's values", act: () => saveNpy(viewer) },
    ];
}
