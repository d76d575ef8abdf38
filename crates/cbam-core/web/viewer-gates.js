// Channel gates as bars, the strongest first, and the features of a channel.

/** @param {Viewer} viewer */
function setUpGates(viewer) {
    const { store } = viewer;
    const select = byId("gate-select", HTMLSelectElement);
    select.addEventListener("change", () => store.set({ gate: select.selectedIndex, rank: 0 }));
    byId("save-gate", HTMLButtonElement).addEventListener("click", () => {
        const { stage, channel } = gateOf(store.state);
        download(npyOf(channel, [channel.length]), fileName(store.state.picture.name, `channel:${stage}`, "npy"));
    });
    store.when(["picture"], () => {
        const { gates } = store.state.picture;
        byId("gates-panel", HTMLElement).hidden = gates.length === 0;
        fillSelect(
            select,
            gates.map(({ stage, channel }, at) => [`${at}`, `${stage}, ${channel.length} channels`]),
        );
    });
    const drawBars = makeBars(viewer);
    const hasGates = () => store.state.picture.gates.length > 0;
    store.when(["picture", "gate"], () => {
        select.selectedIndex = store.state.gate;
        if (hasGates()) listStrongest(viewer);
    });
    store.when(["picture", "gate", "rank"], () => {
        if (!hasGates()) return;
        drawBars();
        showChannel(viewer);
    });
    document.addEventListener("themechange", drawBars);
    store.when(["look"], () => showFeature(viewer));
}

/** @param {Readonly<ViewState>} state */
function gateOf({ picture, gate }) {
    return picture.gates[gate];
}

/** The channels from the strongest to the weakest. */
const channelsInOrder = remembered((/** @type {Float32Array} */ channel) =>
    Array.from(channel, (_, at) => at).sort((a, b) => channel[b] - channel[a]),
);

/**
 * @param {Viewer} viewer
 */
function makeBars({ store }) {
    const box = byId("gate-bars", HTMLElement);
    const canvas = byId("gate-canvas", HTMLCanvasElement);
    const choose = (/** @type {number} */ rank) => {
        const last = gateOf(store.state).channel.length - 1;
        store.set({ rank: Math.min(last, Math.max(0, rank)) });
    };
    box.addEventListener("pointermove", (event) => {
        const { left, width } = canvas.getBoundingClientRect();
        choose(Math.floor(((event.clientX - left) / width) * gateOf(store.state).channel.length));
    });
    box.addEventListener("keydown", (event) => {
        const { rank } = store.state;
        /** @type {Record<string, number>} */
        const ranks = {
            ArrowRight: rank + 1,
            ArrowDown: rank + 1,
            ArrowLeft: rank - 1,
            ArrowUp: rank - 1,
            PageDown: rank + 10,
            PageUp: rank - 10,
            Home: 0,
            End: Infinity,
        };
        if (!(event.key in ranks)) return;
        event.preventDefault();
        choose(ranks[event.key]);
    });
    const draw = () => {
        const gate = gateOf(store.state);
        if (gate) drawGate(canvas, gate.channel, store.state.rank);
    };
    new ResizeObserver(draw).observe(canvas);
    return draw;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} channel
 * @param {number} rank   the channel that is marked
 */
function drawGate(canvas, channel, rank) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) =>
        Math.round(side * devicePixelRatio),
    );
    if (width === 0) return;
    [canvas.width, canvas.height] = [width, height];
    const style = getComputedStyle(canvas);
    const pen = penOf(canvas);
    const order = channelsInOrder(channel);
    const pitch = width / order.length;
    const gap = pitch >= 4 * devicePixelRatio ? devicePixelRatio : 0;
    order.forEach((of, at) => {
        pen.fillStyle = style.getPropertyValue(at === rank ? "--accent" : "--bar");
        const top = height * (1 - Math.min(1, Math.max(0, channel[of])));
        const least = at === rank ? 2 * devicePixelRatio : 0; // the marked one is seen among a thousand
        pen.fillRect(at * pitch, top, Math.max(least, pitch - gap), height - top);
    });
}

/** @param {Viewer} viewer */
function showChannel(viewer) {
    const { store } = viewer;
    const { rank } = store.state;
    const { channel } = gateOf(store.state);
    const order = channelsInOrder(channel);
    const place = `${grouped(rank + 1)} of ${grouped(order.length)}`;
    const words = `channel ${order[rank]}, gate ${channel[order[rank]].toFixed(3)}, ${place}`;
    const bars = byId("gate-bars", HTMLElement);
    bars.setAttribute("aria-valuemax", String(order.length));
    bars.setAttribute("aria-valuenow", String(rank + 1));
    bars.setAttribute("aria-valuetext", words);
    byId("channel-words", HTMLElement).textContent = words[0].toUpperCase() + words.slice(1);
    showFeature(viewer);
}

/**
 * The strongest channels, to be marked.
 * @param {Viewer} viewer
 */
function listStrongest({ store }) {
    const { channel } = gateOf(store.state);
    const rows = channelsInOrder(channel)
        .slice(0, 5)
        .map((of, rank) => {
            const mark = button(`channel ${of}`, () => store.set({ rank }), { class: "quiet" });
            return make("li", {}, mark, make("span", {}, channel[of].toFixed(3)));
        });
    byId("strongest", HTMLElement).replaceChildren(...rows);
}

/**
 * The features of the marked channel over the photo, from their least value to their greatest.
 * @param {Viewer} viewer
 */
function showFeature({ store, paint }) {
    const gate = gateOf(store.state);
    const canvas = byId("feature", HTMLCanvasElement);
    canvas.hidden = !gate?.features;
    if (!gate?.features) return;
    const { grid, lows, highs, codes } = gate.features;
    const of = channelsInOrder(gate.channel)[store.state.rank];
    const cells = grid[0] * grid[1];
    // Maps are at least 0, and features need not be.
    const values = numbersOnScale(codes, of * cells, cells, 0, highs[of] - lows[of]);
    /** @type {PageMap} */
    const map = { name: `${of}`, range: "positive", ofClass: false, explains: null, grid, values, cell: null };
    const { look, table } = paint(map);
    const limits = limitsOf(map, { kind: "image" }, null);
    drawOverPhoto(canvas, store.state.picture, map, { look: { ...look, contour: null }, limits, table });
}
