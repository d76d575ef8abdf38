// The page: what it shows, and when. This script stands last.
//
// What tests find things by; it stays what it is:
// - #photo (it takes the focus), #layer (the canvas over it), .mark and .mark.pinned in it; #photo-other, #layer-other (the
//   second of two side by side), #layer-swiped and #swipe (a slider); #values (data-words has them in a line), #announcer;
// - radio buttons by their names and values: mode (map, looks, looked), compare (off, side, swipe), heads ("" is the mean),
//   colormap, opacity, scale, resample; #alpha, #contour-on, #contour, #reset; in #range two sliders and two number boxes;
// - #map-select, #other-select, #stage-select, #gate-select; .tile[data-map=NAME] with aria-pressed;
// - #looks and #looked (canvases) in #show-looks and #show-looked, #patch-words, #unpin;
// - #class-input, its #class-list with [role=option][data-id=ID]; .class[data-class=ID] with aria-pressed; #class-note;
// - #gate-bars (a slider), #channel-words, #feature, #strongest, #save-gate;
// - #command, #copy, #save-png, #save-npy; #theme (html[data-theme]); #help and the dialog #keys; #problem;
// - #cards with .card[data-index=I] a, #sort, #order, #name-filter, #class-filter, #show-maps, #errors-only, #count,
//   #error-list; #back, #previous, #next, #position;
// - of a report: #gallery-map, radio buttons answer (any, right, wrong), #small-only, #gallery-truth, .card .truth (a canvas);
//   #show-truth, #truth and #truth-other (canvases over the photos), #truth-words, #measured (a table, tr[data-measure=KEY]);
//   .contents a[aria-current]; th > button.sort and th[aria-sort]; .chart .plot (a slider; data-words has what .readout shows),
//   .legend button[data-curve=NAME] with aria-pressed; #report-command and .copy beside it;
// - of a live page: #live, #choose, #camera, #example-photo, #weights and #bundled (buttons), #photo-files and #weights-file
//   (their inputs), #network-name, #size, #live-status; #drop (there while a file is dragged over the page); #camera-dialog
//   with #camera-take; .card.stale is of a network or a size that was left; #add-map with its #add-map-list ([role=option]
//   [data-id=NAME]), #stop-map (a button, there while a map is made that takes long); .remove (a button) on each .card and on
//   each #error-list li[data-index=I]. A page that a program serves has no #weights, #bundled and #weights-file.
// - of a film: #play, #frame-back, #frame-on, #sound (buttons), #seek (a slider of frames), #course (a canvas), #course-words,
//   #time, #speed; the canvases #frame-picture and #frame-picture-other are in the stead of #picture and #picture-other.
// Functions: layer(map, size, look, limits, table, part) and all others by their names, and `page`.

/** What tests ask of the page. */
const page = {
    /** Settles when the first view is there. */
    ready: start(),
    /** @type {Viewer | null} */
    viewer: null,
    /** @type {Player | null} */
    player: null,
    /** The state of the view, the picture's data in it. */
    state: () => page.viewer?.store.state ?? null,
    /** The map over the photo: its name, grid, range and values (a Float32Array). */
    map: () => page.viewer?.shown() ?? null,
    /**
     * The layer of a map, as it looks now, for a picture of a size.
     * @param {string} name
     * @param {Size} size
     */
    layerOf(name, size) {
        if (!page.viewer) return null;
        const map = page.viewer.map(name);
        const { look, limits, table } = page.viewer.paint(map);
        return layer(map, size, look, limits, table, partOf(page.viewer.store.state.picture.data, size));
    },
    /** Settles when all that changed is drawn. */
    settled: () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
};

async function start() {
    try {
        await openPage();
    } catch (error) {
        showProblem(wordsOfError(error));
    }
}

async function openPage() {
    /** @type {Head} */
    const head = JSON.parse(byId("head", HTMLElement).textContent ?? "");
    if (head.format !== "cbam-page" || head.version !== 1) {
        throw new Error("this page is of another version than its script");
    }
    setUpTheme();
    if (head.live) {
        await openLive(head.live);
        return;
    }
    if (head.film) {
        await openFilm(head);
        return;
    }
    const app = await makeApp(head, (index) => pictureData(head, index));
    if (head.report) setUpReport();
    const isSingle = !head.report && head.pictures.length === 1 && readPictures(head.pictures).length === 1;
    await showPictures(app, isSingle ? null : openGallery(app));
}

/**
 * @param {Head} head
 * @param {App["dataOf"]} dataOf
 * @param {LiveActs | null} [live]
 * @returns {Promise<App>}
 */
async function makeApp(head, dataOf, live = null) {
    showMaker(head);
    return { head, tables: await colourTables(head.colours), watch: makeWatch(), dataOf, live };
}

/**
 * @param {App} app
 * @param {Gallery | null} gallery
 * @param {KeyGroup[]} [more]   keys that the page has besides
 */
function showPictures(app, gallery, more = []) {
    const keys = [...pageKeys(), ...more, ...(gallery ? galleryKeys(app.head.report) : [])];
    setUpKeys(keys);
    return setUpRoutes(app, gallery, keys);
}

/** @param {unknown} error */
function wordsOfError(error) {
    return error instanceof Error ? error.message : String(error);
}

/** @param {string} words */
function showProblem(words) {
    const box = byId("problem", HTMLElement);
    box.textContent = words;
    box.hidden = words === "";
}

/** @param {Head} head */
function showMaker({ made, network }) {
    const date = new Date(made.date).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });
    byId("made", HTMLElement).textContent = `${made.program}, ${date}. ${network.name}.`;
}

function setUpTheme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const tell = () => document.dispatchEvent(new Event("themechange"));
    dark.addEventListener("change", tell);
    byId("theme", HTMLButtonElement).addEventListener("click", () => {
        const { dataset } = document.documentElement;
        const isDark = dataset.theme ? dataset.theme === "dark" : dark.matches;
        dataset.theme = isDark ? "light" : "dark";
        tell();
    });
}

/** @returns {KeyGroup[]} */
function pageKeys() {
    const theme = { key: "t", words: "Light or dark", act: () => byId("theme", HTMLButtonElement).click() };
    return [{ title: "Page", keys: [theme], isActive: () => true }];
}

/**
 * @param {Evaluation | null} report
 * @returns {KeyGroup[]}
 */
function galleryKeys(report) {
    const isActive = () => !byId("gallery", HTMLElement).hidden;
    const press = (/** @type {string} */ id) => () => byId(id, HTMLElement).click();
    const focus = (/** @type {string} */ id) => () => byId(id, HTMLElement).focus();
    /** @type {Key[]} */
    const keys = [
        { key: "ArrowKeys", words: "From picture to picture" },
        { key: "Enter", words: "Open the picture" },
        { key: "/", words: "Type a part of a name", act: focus("name-filter") },
        { key: "c", words: "Type a class", act: focus("class-filter") },
        { key: "s", words: "Sort by", act: focus("sort") },
        { key: "r", words: "The other way round", act: press("order") },
        { key: "m", words: "Maps over the pictures, or not", act: press("show-maps") },
    ];
    if (report) {
        keys.push(
            { key: "g", words: "The truth's outlines, or not", act: press("gallery-truth") },
            { key: ".", words: "Next map", act: () => stepSelect(byId("gallery-map", HTMLSelectElement), 1) },
            { key: ",", words: "Previous map", act: () => stepSelect(byId("gallery-map", HTMLSelectElement), -1) },
        );
    }
    return [{ title: "All pictures", keys, isActive }];
}

function goToGallery() {
    const back = byId("back", HTMLElement);
    if (!back.hidden) back.click();
}
