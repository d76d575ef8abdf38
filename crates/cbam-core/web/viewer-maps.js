// All maps as small pictures; the choice of one, and of another to compare it with.

/** @typedef {{ title: string | null, maps: PageMap[] }} MapGroup   a group that has a title is folded */
/** @typedef {{ name: string, button: HTMLButtonElement, canvas: HTMLCanvasElement, seen: boolean, drawn: unknown[] }} Tile */

/** So many heads are shown without being asked for. */
const HEADS_SHOWN = 16;

/**
 * The maps in groups: heads are folded by their layers if there are many.
 * @param {PageMap[]} maps
 * @returns {MapGroup[]}
 */
function groupsOf(maps) {
    const isHead = (/** @type {PageMap} */ { name }) => headInName(name) !== null;
    if (maps.filter(isHead).length <= HEADS_SHOWN) return [{ title: null, maps }];
    /** @type {Map<string, PageMap[]>} */
    const folded = new Map();
    for (const map of maps.filter(isHead)) {
        const whole = headInName(map.name)?.whole ?? "";
        folded.set(whole, [...(folded.get(whole) ?? []), map]);
    }
    const heads = [...folded].map(([whole, maps]) => ({ title: `${whole}, ${maps.length} heads`, maps }));
    return [{ title: null, maps: maps.filter((map) => !isHead(map)) }, ...heads];
}

/** @param {Viewer} viewer */
function setUpMaps(viewer) {
    const { store } = viewer;
    const box = byId("maps", HTMLElement);
    /** @type {Tile[]} */
    let tiles = [];
    store.when(["picture"], () => {
        tiles = [];
        const parts = groupsOf(viewer.maps()).map(({ title, maps }) => {
            const own = maps.map(({ name }) => makeTile(viewer, name));
            tiles.push(...own);
            const grid = make("div", { class: "tiles" }, ...own.map(({ button }) => button));
            return title === null ? grid : make("details", {}, make("summary", {}, title), grid);
        });
        box.replaceChildren(...parts);
    });
    store.when(["picture", "map", "other", "compare"], () => {
        const { map, other, compare } = store.state;
        for (const { name, button } of tiles) {
            button.setAttribute("aria-pressed", String(name === map));
            button.classList.toggle("other", compare !== "off" && name === other);
        }
    });
    store.when(["picture", "drawn", "chosen", "look"], () => tiles.forEach((tile) => drawTile(viewer, tile)));
    setUpMapSelects(viewer);
}

/**
 * @param {Viewer} viewer
 * @param {string} name
 * @returns {Tile}
 */
function makeTile(viewer, name) {
    const canvas = make("canvas");
    const attributes = { type: "button", class: "tile", "data-map": name, "aria-pressed": "false" };
    const tile = make("button", attributes, canvas, make("span", {}, name));
    /** @type {Tile} */
    const made = { name, button: tile, canvas, seen: false, drawn: [] };
    tile.addEventListener("click", (event) => (event.shiftKey ? compareWith(viewer, name) : chooseMap(viewer, name)));
    viewer.app.watch(
        tile,
        () => {
            made.seen = true;
            drawTile(viewer, made);
        },
        () => (made.seen = false),
    );
    return made;
}

/**
 * Draws a small picture if it is seen and is not what it was.
 * @param {Viewer} viewer
 * @param {Tile} tile
 */
function drawTile({ app, store, map, paint }, tile) {
    const { picture, look } = store.state;
    const shown = map(tile.name);
    if (!tile.seen || (tile.drawn[0] === shown && tile.drawn[1] === look)) return;
    tile.drawn = [shown, look];
    const { entropy, coverage } = statistics(shown.values);
    const words = wordsOfMap(app.head, shown);
    const says = `${words}${words && "; "}entropy ${entropy.toFixed(2)}, half of it in ${percent(coverage)} of the picture`;
    tile.button.title = `${shown.name}: ${says}`;
    tile.button.setAttribute("aria-label", tile.button.title);
    drawOverPhoto(tile.canvas, picture, shown, paint(shown));
}

/**
 * @param {Viewer} viewer
 * @param {string} name
 */
function chooseMap({ store }, name) {
    store.set({ map: name, mode: "map" });
}

/**
 * @param {Viewer} viewer
 * @param {string} name
 */
function compareWith({ store, maps }, name) {
    if (maps().length > 1) store.set({ other: name, compare: store.state.compare === "off" ? "side" : store.state.compare });
}

/** @param {Viewer} viewer */
function setUpMapSelects(viewer) {
    const { store } = viewer;
    const [map, other] = [byId("map-select", HTMLSelectElement), byId("other-select", HTMLSelectElement)];
    map.addEventListener("change", () => chooseMap(viewer, map.value));
    other.addEventListener("change", () => store.set({ other: other.value }));
    const showCompare = radios(byId("compare", HTMLElement), COMPARISONS, (compare) => store.set({ compare }));
    store.when(["picture"], () => {
        const names = viewer.maps().map(({ name }) => /** @type {[string, string]} */ ([name, name]));
        fillSelect(map, names);
        fillSelect(other, names);
        byId("compare-field", HTMLElement).hidden = names.length < 2;
    });
    store.when(["picture", "map", "other", "compare"], () => {
        map.value = store.state.map;
        other.value = store.state.other;
        byId("other-field", HTMLElement).hidden = store.state.compare === "off";
        showCompare(store.state.compare);
    });
}

/** @type {[ViewState["compare"], string][]} */
const COMPARISONS = [
    ["off", "Off"],
    ["side", "Side by side"],
    ["swipe", "Swipe"],
];

/**
 * The map so many places after the one that is chosen.
 * @param {Viewer} viewer
 * @param {number} by
 */
function stepMap(viewer, by) {
    const names = viewer.maps().map(({ name }) => name);
    const place = names.indexOf(viewer.store.state.map) + by;
    chooseMap(viewer, names[(place + names.length) % names.length]);
}
