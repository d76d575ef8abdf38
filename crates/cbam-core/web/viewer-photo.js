// The photo with what lies over it, the line of a swipe, and the bars of colours below.

/**
 * What lies over the photo depends on these.
 * @type {(keyof ViewState)[]}
 */
const SHOWN = ["picture", "frame", "chosen", "map", "other", "compare", "mode", "stage", "head", "cursor", "pin", "look"];

/** @param {Viewer} viewer */
function setUpPhoto(viewer) {
    const { store } = viewer;
    const frames = [
        { photo: byId("photo", HTMLElement), image: byId("picture", HTMLImageElement) },
        { photo: byId("photo-other", HTMLElement), image: byId("picture-other", HTMLImageElement) },
    ];
    store.when(["picture"], () => {
        const { image: photo, data, name } = store.state.picture;
        byId("viewer", HTMLElement).style.setProperty("--ratio", String(data.size[0] / data.size[1]));
        for (const { image } of frames) if (photo instanceof HTMLImageElement) image.src = photo.src;
        frames[0].image.alt = name;
        frames[0].photo.setAttribute("aria-label", `${name}, with a map over it`);
    });
    store.when(["compare"], () => {
        const { compare } = store.state;
        byId("panes", HTMLElement).dataset.compare = compare;
        byId("frame-other", HTMLElement).hidden = compare !== "side";
        byId("layer-swiped", HTMLCanvasElement).hidden = compare !== "swipe";
        byId("swipe", HTMLElement).hidden = compare !== "swipe";
    });
    const draw = makeLayerDrawing(viewer);
    store.when(SHOWN, draw);
    new ResizeObserver(draw).observe(frames[0].photo);
    setUpLegends(viewer);
    setUpSwipe(viewer);
}

/**
 * Draws the layers over the photo, those of them that are not what they were.
 * @param {Viewer} viewer
 */
function makeLayerDrawing({ store, compared, paint }) {
    const first = byId("layer", HTMLCanvasElement);
    const others = {
        off: null,
        side: byId("layer-other", HTMLCanvasElement),
        swipe: byId("layer-swiped", HTMLCanvasElement),
    };
    /** @type {WeakMap<HTMLCanvasElement, unknown[]>} */
    const drawn = new WeakMap();
    const draw = (/** @type {HTMLCanvasElement} */ canvas, /** @type {PageMap} */ map) => {
        const { picture, look } = store.state;
        const size = sizeOnScreen(canvas.clientWidth, picture.data.size);
        const wanted = [picture, map, look, ...size];
        if (canvas.clientWidth === 0 || drawn.get(canvas)?.every((value, at) => value === wanted[at])) return;
        drawn.set(canvas, wanted);
        drawLayer(canvas, map, picture.data, size, paint(map));
    };
    return () => {
        const [map, other] = compared();
        draw(first, map);
        const second = others[store.state.compare];
        if (second) draw(second, other);
    };
}

/**
 * A bar of colours for each map over the photo, with the values at its ends.
 * @param {Viewer} viewer
 */
function setUpLegends({ app, store, compared, paint }) {
    const legends = [makeLegend("legend"), makeLegend("legend-other")];
    store.when(SHOWN, () => {
        const maps = compared();
        legends.forEach(({ box, show }, at) => {
            box.hidden = at >= maps.length;
            if (!box.hidden) show(maps[at], paint(maps[at]), wordsOfMap(app.head, maps[at]));
        });
    });
}

/** @param {string} id */
function makeLegend(id) {
    const box = byId(id, HTMLElement);
    const bar = make("canvas", { class: "bar", "aria-hidden": "true" });
    const [name, words, low, high] = [make("strong"), make("span"), make("span"), make("span")];
    box.append(make("p", {}, name, " ", words), make("p", { class: "scale" }, low, bar, high));
    /** @type {unknown[]} */
    let drawn = [];
    const show = (/** @type {PageMap} */ map, /** @type {Paint} */ { limits, table }, /** @type {string} */ said) => {
        name.textContent = map.name;
        words.textContent = said;
        low.textContent = number(limits.low);
        high.textContent = valueInWords(limits.high, map.range);
        if (drawn[0] !== table) drawBar(bar, table, (part) => part);
        drawn = [table];
    };
    return { box, show };
}

/**
 * What a map says, and of which class.
 * @param {Head} head
 * @param {PageMap} map
 */
function wordsOfMap({ network }, { name, explains }) {
    const words = mapInWords(name);
    return explains === null ? words : `${words}${words && ", "}for ${className(network, explains)}`;
}

/**
 * The line between two maps: dragged, or moved by the arrow keys.
 * @param {Viewer} viewer
 */
function setUpSwipe({ store }) {
    const line = byId("swipe", HTMLElement);
    const photo = byId("photo", HTMLElement);
    const [first, second] = [byId("layer", HTMLCanvasElement), byId("layer-swiped", HTMLCanvasElement)];
    const move = (/** @type {number} */ to) => store.set({ swipe: Math.min(1, Math.max(0, to)) });
    store.when(["swipe", "compare"], () => {
        const { swipe, compare } = store.state;
        const share = 100 * swipe;
        line.style.left = `${share}%`;
        line.setAttribute("aria-valuenow", String(Math.round(share)));
        first.style.clipPath = compare === "swipe" ? `inset(0 ${100 - share}% 0 0)` : "";
        second.style.clipPath = `inset(0 0 0 ${share}%)`;
    });
    line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
    line.addEventListener("pointermove", (event) => {
        if (!line.hasPointerCapture(event.pointerId)) return;
        const { left, width } = photo.getBoundingClientRect();
        move((event.clientX - left) / width);
    });
    line.addEventListener("keydown", (event) => {
        /** @type {Record<string, number>} */
        const places = {
            ArrowLeft: store.state.swipe - 0.02,
            ArrowDown: store.state.swipe - 0.02,
            ArrowRight: store.state.swipe + 0.02,
            ArrowUp: store.state.swipe + 0.02,
            Home: 0,
            End: 1,
        };
        if (!(event.key in places)) return;
        event.preventDefault();
        move(places[event.key]);
    });
}
