// The network that looks: the bundled one or that of a weights file, and the size at which it looks.

/** Short sides that are offered beside the network's own. */
const SHORT_SIDES = [160, 192, 224, 256, 320, 384, 448];

/**
 * @typedef {object} LiveParts
 * @property {App} app
 * @property {EngineClient} engine
 * @property {Photos} photos
 * @property {Gallery} gallery
 * @property {Routes} routes
 * @property {(command: string[]) => HeadOptions} headOptions
 * @property {(words: string, isWrong?: boolean) => void} tell
 */

/**
 * The words of a command line that opens a network.
 * @param {string | null} weights   the name of its file; null is the bundled one
 * @param {number | null} shortSide   null is its own
 */
function openingWords(weights, shortSide) {
    return [
        "cbam-run",
        ...(weights === null ? [] : ["--weights", fileWord(weights)]),
        ...(shortSide === null ? [] : ["--size", String(shortSide)]),
    ];
}

/** @param {LiveParts} live */
function setUpNetwork(live) {
    const { app, engine, photos, headOptions, tell } = live;
    /** @type {string | null} */
    let weights = null;
    /** Makes another network the page's. */
    const take = (/** @type {Opened} */ { about, head }, /** @type {string | null} */ name) => {
        weights = name;
        Object.assign(app.head, { ...head, pictures: app.head.pictures });
        showMaker(app.head);
        showNetwork(about, name === null);
        lookAgain(live);
        tell([`${about.name} is open.`, ...about.notes].join(" "));
    };
    const open = async (/** @type {string} */ name, /** @type {Blob | null} */ file) => {
        try {
            const bytes = file && (await bytesOfFile(file));
            const options = headOptions(openingWords(bytes && name, null));
            const change = () => (bytes ? engine.openWeights(bytes, name, options) : engine.openDefault(options));
            take(await photos.change(null, change), bytes && name);
        } catch (error) {
            const why = withoutName(wordsOfError(error), name);
            tell(`${name} is not opened: ${why}. The network stays ${app.head.network.name}.`, true);
        }
    };
    byId("bundled", HTMLButtonElement).addEventListener("click", async () => {
        byId("weights", HTMLButtonElement).focus(); // the button that has the focus goes
        await open("The bundled network", null);
    });
    setUpSize(live, () => weights);
    showNetwork(engine.first.about, true);
    return (/** @type {NamedFile} */ { name, file }) => {
        tell(`Reading ${name}, ${megabytes(file.size)}. Reading executes nothing.`);
        return open(name, file);
    };
}

/**
 * @param {About} about
 * @param {boolean} isBundled
 */
function showNetwork({ name, short_side: own }, isBundled) {
    byId("network-name", HTMLElement).textContent = name;
    byId("network-name", HTMLElement).title = name;
    byId("bundled", HTMLElement).hidden = isBundled;
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
 * Shows what is seen now in place of what was seen before.
 * @param {LiveParts} live
 */
async function lookAgain({ routes, gallery }) {
    for (const card of document.querySelectorAll(".card")) card.classList.add("stale");
    gallery.list();
    routes.forget();
    if (routes.opened() !== null) await routes.route();
}

/**
 * The same at another size: the class that is chosen and the place that is pinned stay.
 * @param {LiveParts} live
 */
async function lookAgainAlike(live) {
    const before = page.viewer?.store.state;
    const [picture, chosen, pin] = [before?.picture.index, before?.chosen, before?.pin];
    await lookAgain(live);
    if (live.routes.opened() === picture) page.viewer?.store.set({ chosen, pin });
}

/**
 * @param {LiveParts} live
 * @param {() => string | null} weights
 */
function setUpSize(live, weights) {
    const { app, engine, photos, routes, tell } = live;
    const select = byId("size", HTMLSelectElement);
    select.addEventListener("change", async () => {
        const [chosen, before] = [select.selectedOptions[0], photos.shortSide()];
        const shortSide = select.value === "" ? null : Number(select.value);
        const shown = routes.opened();
        const sample = photos.sample(shown) ?? exampleInPage();
        tell(`Looking at ${sample.name} at ${chosen.text} …`);
        try {
            const begun = performance.now();
            const bytes = await bytesOfFile(sample.file);
            const { picture } = await photos.change(shortSide, () =>
                engine.look(bytes, sample.name, { short_side: shortSide, detail: "whole" }),
            );
            if (shown !== null) photos.keep(shown, picture);
            app.head.command = openingWords(weights(), shortSide);
            await lookAgainAlike(live);
            tell(`Seen as ${sizeInWords(picture.network_size)} in ${secondsInWords(performance.now() - begun)}.`);
        } catch (error) {
            select.value = before === null ? "" : String(before);
            chosen.disabled = true;
            chosen.text = `${chosen.value}: refused`;
            tell(`${chosen.value} is refused: ${withoutName(wordsOfError(error), sample.name)}`, true);
        }
    });
}

/** @param {number} bytes */
function megabytes(bytes) {
    return `${(bytes / 1e6).toPrecision(bytes < 1e7 ? 2 : 3)} MB`;
}
