// Where the patch looks that is pointed at, and what looks at it: the choice of layer and head, and two small views.

/** @param {Viewer} viewer */
function setUpPatch(viewer) {
    const { store } = viewer;
    const panel = byId("patch-panel", HTMLElement);
    const stages = byId("stage-select", HTMLSelectElement);
    stages.addEventListener("change", () => chooseStage(viewer, stages.selectedIndex));
    store.when(["picture"], () => {
        const { attention } = store.state.picture;
        panel.hidden = attention.length === 0;
        byId("mode", HTMLElement).hidden = attention.length === 0;
        byId("stage-field", HTMLElement).hidden = attention.length < 2;
        fillSelect(
            stages,
            attention.map(({ stage, grid }, at) => [`${at}`, `${stage}, ${grid[0]} × ${grid[1]}`]),
        );
    });
    store.when(["picture", "stage"], () => (stages.selectedIndex = store.state.stage));
    setUpMode(viewer);
    setUpHeads(viewer);
    setUpPatchWords(viewer);
    setUpSmallView(viewer, "looks");
    setUpSmallView(viewer, "looked");
}

/**
 * @param {Viewer} viewer
 * @param {number} stage
 */
function chooseStage({ store }, stage) {
    const { picture, head } = store.state;
    store.set({ stage, head: headKept(picture.attention[stage], head) });
}

/** @param {Viewer} viewer */
function setUpMode({ store }) {
    const show = radios(byId("mode", HTMLElement), MODES, (mode) => store.set({ mode }));
    store.when(["mode"], () => show(store.state.mode));
}

/** @type {[Mode, string][]} */
const MODES = [
    ["map", "Map"],
    ["looks", "Looks at"],
    ["looked", "Looked at by"],
];

/** @param {Viewer} viewer */
function setUpHeads({ store, attention }) {
    const box = byId("heads", HTMLElement);
    const legend = box.firstElementChild ?? "";
    /** @type {ReturnType<typeof radios>} */
    let show = () => {};
    store.when(["picture", "stage"], () => {
        const own = attention();
        const heads = own ? headsShown(own) : 0;
        byId("heads-field", HTMLElement).hidden = heads < 2;
        box.replaceChildren(legend);
        const names = Array.from(
            { length: heads },
            (_, head) => /** @type {[string, string]} */ ([`${head}`, `${head}`]),
        );
        show = radios(box, [["", "Mean"], ...names], (head) => store.set({ head: head === "" ? null : Number(head) }));
        show(`${store.state.head ?? ""}`);
    });
    store.when(["head"], () => show(`${store.state.head ?? ""}`));
}

/** @param {Viewer} viewer */
function setUpPatchWords({ store, attention, grid }) {
    const words = byId("patch-words", HTMLElement);
    const unpin = byId("unpin", HTMLButtonElement);
    unpin.addEventListener("click", () => store.set({ pin: null }));
    store.when(["picture", "cursor", "pin", "stage"], () => {
        const { picture, cursor, pin } = store.state;
        unpin.hidden = !pin;
        if (!attention()) return;
        const [row, column] = cellAt(picture.data, grid(), pin ?? cursor);
        words.textContent = `${pin ? "Pinned: the" : "The"} patch in row ${row}, column ${column}`;
    });
}

/**
 * @param {Viewer} viewer
 * @param {Direction} direction
 */
function setUpSmallView({ store, weights, paint }, direction) {
    const canvas = byId(direction, HTMLCanvasElement);
    const view = byId(`show-${direction}`, HTMLButtonElement);
    view.title = `${direction === "looks" ? "What it looks at" : "What it is looked at by"}, over the photo`;
    view.setAttribute("aria-label", view.title);
    view.addEventListener("click", () => store.set({ mode: store.state.mode === direction ? "map" : direction }));
    store.when(["mode"], () => view.setAttribute("aria-pressed", String(store.state.mode === direction)));
    store.when(["picture", "cursor", "pin", "stage", "head", "look"], () => {
        const map = weights(direction);
        if (map) drawOverPhoto(canvas, store.state.picture, map, paint(map));
    });
}
