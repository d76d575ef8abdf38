// A page that runs the network itself, on photos that are dropped into it.

/**
 * @param {LiveSource} source
 */
async function openLive(source) {
    const parts = ["live", "drop", "camera-dialog"].map((id) => byId(id, HTMLElement));
    byId("viewer", HTMLElement).before(...parts); // they are there whichever of both is shown
    if (/^#\d+$/.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
    byId("title", HTMLElement).textContent = document.title = "Where does the network look?";
    byId("pictures", HTMLElement).hidden = true;
    byId("gallery", HTMLElement).hidden = false;
    byId("privacy", HTMLElement).append(wordsOfPolicy(source));

    /** What comes before the network is there waits for it. @type {(live: Taken) => void} */
    let begin = () => {};
    /** @type {Promise<Taken>} */
    const begun = new Promise((resolve) => (begin = resolve));
    const photos = async (/** @type {NamedFile[]} */ files) => {
        (await begun).photos(files);
    };
    setUpIntake({ photos, weights: async (file) => (await begun).weights(file) });
    setUpCamera((photo) => photos([photo]));
    try {
        begin(await beginLive(source));
    } catch (error) {
        tellLive(`The network does not start: ${wordsOfError(error)}.`, true);
        for (const control of byId("live", HTMLElement).querySelectorAll("button, select")) {
            control.toggleAttribute("disabled", true);
        }
    }
}

/** @typedef {{ photos: (files: NamedFile[]) => void, weights: (file: NamedFile) => Promise<void> }} Taken */

/**
 * @param {LiveSource} source
 * @returns {Promise<Taken>}
 */
async function beginLive({ engine: address, program }) {
    const headOptions = (/** @type {string[]} */ command) => ({ program, date: new Date().toISOString(), command });
    tellLive("Loading the network …");
    const engine = await startEngine(address, headOptions(openingWords(null, null)), tellProgress);
    const { head } = engine.first;
    const photos = new Photos(engine, head.pictures, {
        tell: tellLive,
        listed: () => {
            byId("pictures", HTMLElement).hidden = false;
            byId("live", HTMLElement).classList.remove("empty");
            gallery.list();
        },
        open: (index) => (location.hash = `#${index}`),
    });
    const app = await makeApp(head, (index) => photos.dataOf(index));
    const gallery = openGallery(app);
    const routes = await showPictures(app, gallery, [liveKeys()]);
    const openWeights = setUpNetwork({ app, engine, photos, gallery, routes, headOptions, tell: tellLive });
    tellLive("");
    warmUp(engine).catch(() => {}); // what is amiss, the first photo tells
    /** Weights are done before photos that came after them. @type {Promise<void>} */
    let opening = Promise.resolve();
    return {
        weights: (file) => (opening = opening.then(() => openWeights(file))),
        photos: async (files) => {
            await opening;
            if (files.length > 1) location.hash = "";
            photos.add(files);
        },
    };
}

/**
 * Looks at something small: the browser translates what it runs, and so the first photo does not wait for that.
 * @param {EngineClient} engine
 */
async function warmUp(engine) {
    const { name, file } = exampleInPage();
    await engine.look(await bytesOfFile(file), name, { short_side: 64, detail: "whole" });
}

/**
 * @param {string} words
 * @param {boolean} [isWrong]
 */
function tellLive(words, isWrong = false) {
    const status = byId("live-status", HTMLElement);
    status.textContent = words;
    status.classList.toggle("wrong", isWrong);
}

/**
 * @param {number | null} part
 * @param {number | null} size
 */
function tellProgress(part, size) {
    const done = part === null ? "" : `, ${Math.floor(100 * part)} %`;
    tellLive(`Loading the network${size === null ? "" : ` (${megabytes(size)})`}${done} …`);
}

/** @returns {KeyGroup} */
function liveKeys() {
    const press = (/** @type {string} */ id) => () => byId(id, HTMLButtonElement).click();
    const keys = [
        { key: "i", words: "Choose photos", act: press("choose") },
        { key: "w", words: "Choose weights", act: press("weights") },
    ];
    return { title: "Photos and network", keys, isActive: () => true };
}

/**
 * How the page makes sure that nothing leaves it.
 * @param {LiveSource} source
 */
function wordsOfPolicy({ engine }) {
    const asks = engine === null ? "no server for anything" : "for its own files and nothing else";
    return `The network runs in this page, whose security policy lets it ask ${asks}. The browser sees to that.`;
}
