// Which picture is shown: `#3` in the page's address is the fourth, none is the gallery. So the browser's Back leads back.
// A word is a section of a report, and the gallery too.

/** So many pictures are kept ready: one goes to the next and back. */
const KEPT = 3;

/**
 * Pictures as they are asked for, the last of them kept.
 * @param {App} app
 */
function makePictures({ head, dataOf }) {
    /** @type {Map<number, Promise<Picture>>} */
    const kept = new Map();
    const read = async (/** @type {number} */ index) => {
        const data = await dataOf(index);
        return readPicture(index, pictureListed(head, index), data);
    };
    return {
        at(/** @type {number} */ index) {
            pictureListed(head, index);
            const picture = kept.get(index) ?? read(index);
            kept.delete(index);
            kept.set(index, picture);
            picture.catch(() => kept.get(index) === picture && kept.delete(index));
            for (const old of [...kept.keys()].slice(0, -KEPT)) kept.delete(old);
            return picture;
        },
        /** What is kept is not what it would be now. */
        forget: () => kept.clear(),
    };
}

/**
 * What the page knows of a picture that was read.
 * @param {Head} head
 * @param {number} index
 */
function pictureListed({ pictures }, index) {
    const entry = pictures[index];
    if (entry === null) throw new Error("this picture was taken off the list");
    if ("error" in entry) throw new Error(`${entry.name}: ${entry.error}`);
    return entry;
}

/** @typedef {Awaited<ReturnType<typeof setUpRoutes>>} Routes */

/**
 * @param {App} app
 * @param {Gallery | null} gallery
 * @param {KeyGroup[]} keys
 */
async function setUpRoutes(app, gallery, keys) {
    const pictures = makePictures(app);
    /** @type {number | null} */
    let opened = null;
    /** How often something was asked for: what comes late is not shown. */
    let asked = 0;
    /** Where the gallery was left. */
    const left = { scrolled: 0, hash: "" };
    history.scrollRestoration = "manual";

    const showPicture = async (/** @type {number} */ index) => {
        // What lies over the pictures of a report lies over the one that is opened from there.
        const map = opened === null ? (gallery?.map() ?? null) : null;
        if (opened === null) left.scrolled = scrollY;
        const isSame = opened === index && page.viewer !== null;
        opened = index;
        const own = ++asked;
        document.body.classList.add("opening");
        const picture = await pictures.at(index);
        if (own !== asked) return; // another was asked for meanwhile
        document.body.classList.remove("opening");
        showMain("viewer", gallery !== null);
        if (gallery) showSteps(gallery.order(), index);
        showInViewer(app, picture, map, keys);
        if (!isSame) scrollTo(0, 0);
    };
    const showGallery = () => {
        const last = opened;
        opened = null;
        asked++;
        document.body.classList.remove("opening");
        showMain("gallery", true);
        nameGallery(app.head);
        const isAtSection = scrollInGallery(left, last !== null);
        if (last !== null && !isAtSection) gallery?.focus(last);
    };
    const route = async () => {
        showProblem("");
        const index = indexInAddress(app.head);
        try {
            if (index !== null) await showPicture(index);
            else if (gallery) showGallery();
            else await showPicture(0);
        } catch (error) {
            document.body.classList.remove("opening");
            showProblem(wordsOfError(error));
        }
    };
    addEventListener("hashchange", route);
    for (const id of ["previous", "next"]) byId(id, HTMLAnchorElement).addEventListener("click", replaceAddress);
    await route();
    gallery?.whenListed(() => (opened === null ? nameGallery(app.head) : showSteps(gallery.order(), opened)));
    // Which picture is shown or on its way; and for when pictures are not what they were.
    return { opened: () => opened, forget: pictures.forget, route };
}

/**
 * Goes to where the gallery was left, or to the section that the address names.
 * @param {{ scrolled: number, hash: string }} left
 * @param {boolean} isBack   whether a picture was shown
 * @returns {boolean}   whether it is a section
 */
function scrollInGallery(left, isBack) {
    const section = isBack && location.hash === left.hash ? null : sectionInAddress();
    left.hash = location.hash;
    if (section) section.scrollIntoView();
    else scrollTo(0, isBack ? left.scrolled : 0);
    return section !== null;
}

/**
 * @param {App} app
 * @param {Picture} picture
 * @param {string | null} map   the map to be shown; null: the one that is, or the page's first
 * @param {KeyGroup[]} keys
 */
function showInViewer(app, picture, map, keys) {
    if (page.viewer) {
        const { state } = page.viewer.store;
        page.viewer.store.set(viewOf(picture, map === null ? state : { ...state, map }));
    } else {
        page.viewer = openViewer(app, picture, map);
        keys.push(...viewerKeys(page.viewer));
    }
}

/**
 * The picture that the page's address names; null if it names none that can be shown.
 * @param {Head} head
 */
function indexInAddress({ pictures }) {
    const found = /^#(\d+)$/.exec(location.hash);
    const entry = found && pictures[Number(found[1])];
    return found && entry && !("error" in entry) ? Number(found[1]) : null;
}

/** The section of a report that the page's address names. */
function sectionInAddress() {
    const found = /^#([a-z][\w-]*)$/.exec(location.hash);
    return found && document.querySelector(`#gallery section[id="${found[1]}"]`);
}

/** @param {Head} head */
function nameGallery({ pictures, network, report }) {
    if (pictures.every((entry) => entry === null)) return; // a live page, which says itself what it is
    const count = countOfPictures(readPictures(pictures).length);
    const [title, fact] = report ? [`Where ${network.name} looks, measured`, count] : [count, network.name];
    document.title = title;
    byId("title", HTMLElement).textContent = title;
    byId("facts", HTMLElement).textContent = fact;
}

/**
 * @param {"viewer" | "gallery"} id
 * @param {boolean} hasGallery
 */
function showMain(id, hasGallery) {
    for (const main of ["viewer", "gallery"]) byId(main, HTMLElement).hidden = main !== id;
    const steps = id === "viewer" && hasGallery;
    byId("back", HTMLElement).hidden = !steps;
    byId("steps", HTMLElement).hidden = !steps;
}

/**
 * The ways to the pictures before and after one.
 * @param {number[]} order
 * @param {number} index
 */
function showSteps(order, index) {
    const place = order.indexOf(index);
    byId("position", HTMLElement).textContent = place < 0 ? "" : `${grouped(place + 1)} of ${grouped(order.length)}`;
    const neighbours = { previous: order.at(place - 1), next: order.at(place + 1) };
    const isEnd = { previous: place <= 0, next: place < 0 || place === order.length - 1 };
    for (const id of /** @type {const} */ (["previous", "next"])) {
        const link = byId(id, HTMLAnchorElement);
        if (isEnd[id]) link.removeAttribute("href");
        else link.href = `#${neighbours[id]}`;
    }
}

/**
 * Goes to a picture in the stead of the one before it: Back leads to the gallery, however many were looked at.
 * @param {MouseEvent} event
 */
function replaceAddress(event) {
    const link = event.currentTarget;
    if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.href) location.replace(link.href);
}
