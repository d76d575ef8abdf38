// A page with a network behind it, which looks at photos that are dropped into the page.

/**
 * @param {LiveSource} source
 */
async function openLive(source) {
    for (const part of document.querySelectorAll(source.served ? ".in-page" : ".in-program")) part.remove();
    const parts = ["live", "drop", "camera-dialog"].map((id) => byId(id, HTMLElement));
    byId("viewer", HTMLElement).before(...parts); // they are there whichever of both is shown
    byId("map-field", HTMLElement).after(byId("add-map-field", HTMLElement));
    if (/^#\d+$/.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
    byId("privacy", HTMLElement).append(...wordsOfPolicy(source));
    byId("gallery", HTMLElement).hidden = false;
    showEmpty(true);

    /** What comes before the network is there waits for it. @type {(live: Taken) => void} */
    let begin = () => {};
    /** @type {Promise<Taken>} */
    const begun = new Promise((resolve) => (begin = resolve));
    const photos = async (/** @type {NamedFile[]} */ files) => {
        (await begun).photos(files);
    };
    setUpIntake({ photos, weights: async (file) => (await begun).weights(file) }, source);
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

/**
 * Shows that no photo is there, or that there are some.
 * @param {boolean} isEmpty
 */
function showEmpty(isEmpty) {
    byId("live", HTMLElement).classList.toggle("empty", isEmpty);
    byId("pictures", HTMLElement).hidden = isEmpty;
    if (!isEmpty) return;
    byId("title", HTMLElement).textContent = document.title = "Where does the network look?";
    byId("facts", HTMLElement).textContent = "";
}

/** @typedef {{ photos: (files: NamedPhoto[]) => void, weights: (file: NamedFile) => Promise<void> }} Taken */

/**
 * @param {LiveSource} source
 * @returns {Promise<Taken>}
 */
async function beginLive(source) {
    const { program } = source;
    const headOptions = (/** @type {string[]} */ command) => ({ program, date: new Date().toISOString(), command });
    const engine = await startClient(source, headOptions);
    const { about, head } = engine.first;
    const photos = new Photos(engine, head.pictures, {
        tell: tellLive,
        listed: () => {
            showEmpty(head.pictures.every((entry) => entry === null));
            gallery.list();
        },
        open: (index) => (location.hash = `#${index}`),
        lacking: (index, maps) => asking.resume(index, maps),
    });
    const app = await makeApp(head, (index) => photos.dataOf(index), {
        askClass: (index, id, isKept) => asking.askClass(index, id, isKept),
        remove: (index) => {
            asking.leavePicture(index);
            photos.remove(index);
        },
    });
    const gallery = openGallery(app);
    const routes = await showPictures(app, gallery, liveKeys(engine));
    /** @type {LiveParts} */
    const live = { app, engine, about, opening: head.command, photos, gallery, routes, headOptions, tell: tellLive };
    const asking = new Asking(live);
    const openWeights = setUpNetwork(live, asking);
    setUpAddMap(live, asking);
    tellLive("");
    engine.warmUp?.().catch(() => {}); // what is amiss, the first photo tells
    /** Weights are done before photos that came after them. @type {Promise<void>} */
    let opening = Promise.resolve();
    const taken = {
        weights: (/** @type {NamedFile} */ file) => (opening = opening.then(() => openWeights(file))),
        photos: async (/** @type {NamedPhoto[]} */ files) => {
            await opening;
            if (files.length > 1) location.hash = "";
            photos.add(files);
        },
    };
    if (engine.photos.length) taken.photos(engine.photos.map((name, file) => ({ name, file })));
    return taken;
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

/**
 * @param {EngineClient} engine
 * @returns {KeyGroup[]}
 */
function liveKeys({ open }) {
    const press = (/** @type {string} */ id) => () => byId(id, HTMLButtonElement).click();
    const keys = [{ key: "i", words: "Choose photos", act: press("choose") }];
    if (open) keys.push({ key: "w", words: "Choose weights", act: press("weights") });
    const add = { key: "u", words: "Add a map", act: () => byId("add-map", HTMLElement).focus() };
    const remove = { key: "Delete", words: "Take the picture off the list" };
    const isShown = (/** @type {string} */ id) => () => !byId(id, HTMLElement).hidden;
    return [
        { title: "Photos and network", keys, isActive: () => true },
        { title: "More maps", keys: [add], isActive: isShown("viewer") },
        { title: "List", keys: [remove], isActive: isShown("gallery") },
    ];
}

/**
 * How the page makes sure that nothing leaves the machine.
 * @param {LiveSource} source
 */
function wordsOfPolicy({ engine, served }) {
    if (served) {
        const where = make("strong", {}, "Photos go to the program that serves this page, and nowhere else.");
        return [where, " The network runs in cbam-view; the page's security policy lets it ask that program and nothing else."];
    }
    const asks = engine === null ? "no server for anything" : "for its own files and nothing else";
    const where = make("strong", {}, "Nothing leaves this machine.");
    return [where, ` The network runs in this page, whose security policy lets it ask ${asks}. The browser sees to that.`];
}
