// What can be taken away: the command that gives the same picture, the picture, the numbers.

/** @param {Viewer} viewer */
function setUpTaking(viewer) {
    const { app, store } = viewer;
    const command = byId("command", HTMLElement);
    const copy = byId("copy", HTMLButtonElement);
    copy.addEventListener("click", () => copyWords(command, copy));
    byId("save-png", HTMLButtonElement).addEventListener("click", () => savePng(viewer));
    byId("save-npy", HTMLButtonElement).addEventListener("click", () => saveNpy(viewer));
    store.when(SHOWN, () => {
        const maps = mapsInCommand(viewer);
        copy.disabled = maps === null;
        command.classList.toggle("none", maps === null);
        command.textContent = maps
            ? commandWords(app.head, store.state.picture, maps, store.state.look).map(shellWord).join(" ")
            : `No command draws this: ${wordsOfNoCommand(viewer)}.`;
    });
}

/**
 * Why no command draws what is shown.
 * @param {Viewer} viewer
 */
function wordsOfNoCommand({ app, store }) {
    if (app.head.command.length === 0) return "cbam-run opens no such network, or no such pictures";
    return store.state.mode === "map"
        ? "cbam-run compares maps of one class"
        : "cbam-run shows where a patch looks in the mean over heads, on the finest grid";
}

/**
 * The maps over the photo by the names that the program knows; null if it does not know one, or they are of two classes.
 * @param {Viewer} viewer
 */
function mapsInCommand(viewer) {
    const { mode, stage, head, picture, pin, cursor } = viewer.store.state;
    const maps = viewer.compared();
    const classes = new Set(maps.flatMap(({ explains }) => explains ?? []));
    if (classes.size > 1 || viewer.app.head.command.length === 0) return null;
    if (mode === "map") return maps;
    if (mode !== "looks" || stage !== 0 || head !== null) return null;
    const [x, y] = middleOf(picture.data, viewer.grid(), cellAt(picture.data, viewer.grid(), pin ?? cursor));
    return [{ ...maps[0], name: `patch@${x},${y}` }, ...maps.slice(1)];
}

/**
 * @param {HTMLElement} source   what has the words
 * @param {HTMLButtonElement} copy
 */
async function copyWords(source, copy) {
    const words = source.textContent ?? "";
    try {
        await navigator.clipboard.writeText(words);
    } catch {
        copyBySelection(words); // a page that the browser does not trust has no clipboard, or may not write it
    }
    copy.textContent = "Copied";
    announce("Copied");
    setTimeout(() => (copy.textContent = "Copy"), 1500);
}

/** @param {string} words */
function copyBySelection(words) {
    const box = make("textarea", { class: "unseen" });
    box.value = words;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
}

/**
 * The picture as it is shown, at its full size: of two maps side by side or on both sides of the line.
 * @param {Viewer} viewer
 */
function pictureShown({ store, compared, paint }) {
    const { picture, compare, swipe } = store.state;
    const outline = store.state.truth ? truthOf(picture) : null;
    const [first, second] = compared().map((map) => fullPicture(picture, map, paint(map), outline));
    if (compare === "off") return first;
    const { width, height } = first;
    const left = Math.round(width * (compare === "swipe" ? swipe : 1));
    const canvas = make("canvas", { width: compare === "swipe" ? width : 2 * width, height });
    const pen = penOf(canvas);
    pen.drawImage(first, 0, 0);
    if (compare === "side") pen.drawImage(second, left, 0);
    else if (left < width) pen.drawImage(second, left, 0, width - left, height, left, 0, width - left, height);
    return canvas;
}

/**
 * The name of what is shown, as files have it.
 * @param {Viewer} viewer
 */
function nameShown(viewer) {
    const maps = mapsInCommand(viewer) ?? viewer.compared();
    return maps.map(({ name }) => name).join("-and-") + ofFrame(viewer);
}

/**
 * Which frame of a film it is, as files have it.
 * @param {Viewer} viewer
 */
function ofFrame({ app, store }) {
    return app.head.film ? `-frame-${store.state.frame + 1}` : "";
}

/** @param {Viewer} viewer */
async function savePng(viewer) {
    const name = fileName(viewer.store.state.picture.name, nameShown(viewer), "png");
    try {
        const canvas = pictureShown(viewer);
        /** @type {Blob | null} */
        const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
        if (!blob) throw new Error("the picture is too large for this browser");
        download(blob, name);
    } catch (error) {
        showProblem(`${name} is not written: ${wordsOfError(error)}`);
    }
}

/** @param {Viewer} viewer */
function saveNpy(viewer) {
    const map = viewer.shown();
    const [named] = mapsInCommand(viewer) ?? [map];
    const name = fileName(viewer.store.state.picture.name, named.name + ofFrame(viewer), "npy");
    download(npyOf(map.values, map.grid), name);
}
