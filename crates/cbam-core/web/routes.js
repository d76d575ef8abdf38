// Which picture is shown: `#3` in the page's address is the fourth, none is the gallery. So the browser's Back leads back.

/** So many pictures are kept ready: one goes to the next and back. */
const KEPT = 3;

/**
 * Pictures as they are asked for, the last of them kept.
 * @param {Head} head
 * @returns {(index: number) => Promise<Picture>}
 */
function makePictures(head) {
    /** @type {Map<number, Promise<Picture>>} */
    const kept = new Map();
    return (index) => {
        const entry = head.pictures[index];
        if ("error" in entry) throw new Error(`${entry.name}: ${entry.error}`);
        const picture = kept.get(index) ?? pictureData(head, index).then((data) => readPicture(index, entry, data));
        kept.delete(index);
        kept.set(index, picture);
        picture.catch(() => kept.delete(index));
        for (const old of [...kept.keys()].slice(0, -KEPT)) kept.delete(old);
        return picture;
    };
}

/**
 * @param {App} app
 * @param {Gallery | null} gallery
 * @param {KeyGroup[]} keys
 */
async function setUpRoutes(app, gallery, keys) {
    const pictureAt = makePictures(app.head);
    /** @type {number | null} */
    let opened = null;
    let scrolled = 0;
    history.scrollRestoration = "manual";

    const showPicture = async (/** @type {number} */ index) => {
        if (opened === null) scrolled = scrollY;
        opened = index;
        document.body.classList.add("opening");
        const picture = await pictureAt(index);
        if (opened !== index) return; // another was asked for meanwhile
        document.body.classList.remove("opening");
        showMain("viewer");
        if (gallery) showSteps(gallery.order(), index);
        if (page.viewer) {
            page.viewer.store.set(viewOf(picture, page.viewer.store.state));
        } else {
            page.viewer = openViewer(app, picture);
            keys.push(...viewerKeys(page.viewer));
        }
        scrollTo(0, 0);
    };
    const showGallery = () => {
        const last = opened;
        opened = null;
        document.body.classList.remove("opening");
        showMain("gallery");
        const { pictures, network } = app.head;
        document.title = `${grouped(readPictures(pictures).length)} pictures`;
        byId("title", HTMLElement).textContent = document.title;
        byId("facts", HTMLElement).textContent = network.name;
        scrollTo(0, scrolled);
        if (last !== null) gallery?.focus(last);
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
}

/**
 * The picture that the page's address names; null if it names none that can be shown.
 * @param {Head} head
 */
function indexInAddress({ pictures }) {
    const found = /^#(\d+)$/.exec(location.hash);
    const index = found ? Number(found[1]) : -1;
    return index >= 0 && index < pictures.length && !("error" in pictures[index]) ? index : null;
}

/** @param {"viewer" | "gallery"} id */
function showMain(id) {
    for (const main of ["viewer", "gallery"]) byId(main, HTMLElement).hidden = main !== id;
    const steps = id === "viewer" && byId("gallery", HTMLElement).querySelector(".card") !== null;
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
