// The network that looks: the bundled one or that of a weights file, and the size at which it looks.

/** Short sides that are offered beside the network's own. */
const SHORT_SIDES = [160, 192, 224, 256, 320, 384, 448];

/**
 * @typedef {object} LiveParts
 * @property {App} app
 * @property {EngineClient} engine
 * @property {About} about   of the network that is open
 * @property {string[]} opening   the words of a command line that opens it, at its own size
 * @property {Photos} photos
 * @property {Gallery} gallery
 * @property {Routes} routes
 * @property {(command: string[]) => HeadOptions} headOptions
 * @property {(words: string, isWrong?: boolean) => void} tell
 */

/**
 * The words of a command line that opens a network, for another size.
 * @param {string[]} opening   those for its own
 * @param {number | null} shortSide   null is its own
 */
function wordsAtSize(opening, shortSide) {
    if (shortSide === null) return opening;
    const given = opening.indexOf("--size");
    const others = opening.filter((_, at) => given < 0 || at < given || at > given + 1);
    return [...others, "--size", String(shortSide)];
}

/**
 * @param {LiveParts} live
 * @param {Asking} asking
 * @returns {(weights: NamedFile) => Promise<void>}   opens a network by its weights
 */
function setUpNetwork(live, asking) {
    const { open } = live.engine;
    setUpSize(live, asking);
    showNetwork(live.about);
    return open ? setUpWeights(live, asking, open) : async (weights) => refuseWeights(live, weights);
}

/**
 * A program that serves the page opens one network, when it starts.
 * @param {LiveParts} live
 * @param {NamedFile} weights
 */
function refuseWeights({ tell }, { name }) {
    const command = ["cbam-view", "--weights", fileWord(name)].map(shellWord).join(" ");
    tell(`${name} is not opened: cbam-view opens weights when it starts: ${command}`, true);
}

/**
 * @param {LiveParts} live
 * @param {Asking} asking
 * @param {NonNullable<EngineClient["open"]>} openNetwork
 */
function setUpWeights(live, asking, openNetwork) {
    const { app, photos, headOptions, tell } = live;
    const bundled = byId("bundled", HTMLButtonElement);
    /** Makes another network the page's. */
    const take = (/** @type {Opened} */ { about, head }, /** @type {boolean} */ isBundled) => {
        Object.assign(live, { about, opening: head.command });
        Object.assign(app.head, { ...head, pictures: app.head.pictures });
        showMaker(app.head);
        showNetwork(about);
        bundled.hidden = isBundled;
        photos.forgetNetwork();
        asking.leave();
        lookAgain(live);
        tell([`${about.name} is open.`, ...about.notes].join(" "));
    };
    const open = async (/** @type {string} */ name, /** @type {NamedFile | null} */ weights) => {
        try {
            const options = headOptions(["cbam-run", ...(weights ? ["--weights", fileWord(name)] : [])]);
            take(await photos.change(null, () => openNetwork(weights, options)), weights === null);
        } catch (error) {
            const why = withoutName(wordsOfError(error), name);
            tell(`${name} is not opened: ${why}. The network stays ${app.head.network.name}.`, true);
        }
    };
    bundled.addEventListener("click", async () => {
        byId("weights", HTMLButtonElement).focus(); // the button that has the focus goes
        await open("The bundled network", null);
    });
    return (/** @type {NamedFile} */ weights) => {
        tell(`Reading ${weights.name}, ${megabytes(weights.file.size)}. Reading executes nothing.`);
        return open(weights.name, weights);
    };
}

/** @param {About} about */
function showNetwork({ name, short_side: own }) {
    byId("network-name", HTMLElement).textContent = name;
    byId("network-name", HTMLElement).title = name;
    const select = byId("size", HTMLSelectElement);
    const sides = [...new Set([own, ...SHORT_SIDES])].sort((a, b) => a - b);
    fillSelect(
        select,
        sides.map((side) => (side === own ? ["", `${side}, its own`] : [String(side), String(side)])),
    );
    select.value = "";
    select.disabled = false;
}

/**
 * Cards are of a network or a size that was left, until their pictures are looked at again.
 * @param {LiveParts} live
 */
function markStale({ gallery }) {
    for (const card of document.querySelectorAll(".card")) card.classList.add("stale");
    gallery.list();
}

/**
 * Shows what is seen now in place of what was seen before.
 * @param {LiveParts} live
 */
async function lookAgain(live) {
    markStale(live);
    live.routes.forget();
    if (live.routes.opened() !== null) await live.routes.route();
}

/**
 * Shows a picture anew, if it is the one that is shown: the map, the cell that is pinned and all else that was chosen stay.
 * @param {LiveParts} live
 * @param {number} index
 */
async function showAnew({ routes }, index) {
    routes.forget();
    if (routes.opened() !== index) return;
    const before = page.viewer && { ...page.viewer.store.state };
    await routes.route();
    if (!before || before.picture.index !== index || routes.opened() !== index) return;
    const { cursor, pin, pointing, gate, rank } = before;
    page.viewer?.store.set({ cursor, pin, pointing, gate, rank });
}

/**
 * @param {LiveParts} live
 * @param {Asking} asking
 */
function setUpSize(live, asking) {
    const { engine, photos, routes, tell } = live;
    const select = byId("size", HTMLSelectElement);
    select.addEventListener("change", async () => {
        const chosen = select.selectedOptions[0];
        const shortSide = select.value === "" ? null : Number(select.value);
        const sample = photos.sample(routes.opened());
        tell(`Looking at ${sample.name} at ${chosen.text} …`);
        if (!engine.open) asking.leave(); // or else the program makes what is left then before it looks
        try {
            const begun = performance.now();
            const { network_size: size } = await photos.resize(sample, shortSide);
            tell(`Seen as ${sizeInWords(size)} in ${secondsInWords(performance.now() - begun)}.`);
        } catch (error) {
            select.value = String(photos.shortSide() ?? "");
            tell(`Not at ${chosen.text}: ${withoutName(wordsOfError(error), sample.name)}`, true);
            const shown = routes.opened();
            // What was left is made after all.
            return engine.open || shown === null ? undefined : showAnew(live, shown);
        }
        asking.leave();
        return showAtSize(live, shortSide);
    });
}

/**
 * Shows what is seen at another size: the class that is chosen stays as well.
 * @param {LiveParts} live
 * @param {number | null} shortSide
 */
async function showAtSize(live, shortSide) {
    const { app, opening, routes } = live;
    app.head.command = wordsAtSize(opening, shortSide);
    markStale(live);
    const [shown, viewer] = [routes.opened(), page.viewer];
    if (shown === null || !viewer) return routes.forget();
    const { chosen } = viewer.store.state;
    await showAnew(live, shown);
    if (chosen !== null && viewer.store.state.picture.index === shown) chooseClass(viewer, chosen);
    return undefined;
}

/** @param {number} bytes */
function megabytes(bytes) {
    return `${(bytes / 1e6).toPrecision(bytes < 1e7 ? 2 : 3)} MB`;
}
