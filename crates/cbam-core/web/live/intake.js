// How photos and weights come into the page: dropped, pasted, chosen.

/** What the names of weights files end with; of those that no page runs, the engine says why. */
const WEIGHTS = /\.(safetensors|pth|pt|pt2|bin|ckpt|onnx)$/i;

/**
 * @typedef {object} Intake
 * @property {(photos: NamedFile[]) => void} photos
 * @property {(weights: NamedFile) => void} weights
 */

/**
 * @param {Intake} intake
 * @param {LiveSource} source
 */
function setUpIntake(intake, { served }) {
    const take = (/** @type {NamedFile[]} */ files) => sortIn(files, intake);
    setUpFileChoice("choose", "photo-files", take);
    if (served) byId("photo-files", HTMLInputElement).accept = "image/*";
    else setUpFileChoice("weights", "weights-file", ([file]) => file && intake.weights(file));
    setUpDropping(take);
    setUpPasting(take);
    setUpExample((photo) => intake.photos([photo]));
}

/**
 * Weights first: photos that came along are looked at with them.
 * @param {NamedFile[]} files
 * @param {Intake} intake
 */
function sortIn(files, intake) {
    const isWeights = (/** @type {NamedFile} */ { name }) => WEIGHTS.test(name);
    const weights = files.find(isWeights);
    if (weights) intake.weights(weights);
    const photos = files.filter((file) => !isWeights(file));
    if (photos.length) intake.photos(photos);
}

/**
 * @param {Iterable<File>} files
 * @returns {NamedFile[]}
 */
function named(files) {
    return Array.from(files, (file) => ({ name: file.name, file }));
}

/**
 * @param {string} id   the button
 * @param {string} inputId
 * @param {(files: NamedFile[]) => void} take
 */
function setUpFileChoice(id, inputId, take) {
    const input = byId(inputId, HTMLInputElement);
    byId(id, HTMLButtonElement).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
        const files = named(input.files ?? []);
        input.value = ""; // so that the same can be chosen again
        take(files);
    });
}

/** @param {(files: NamedFile[]) => void} take */
function setUpDropping(take) {
    const sign = byId("drop", HTMLElement);
    let isOwn = false; // a picture of the page that is dragged counts as a file too
    addEventListener("dragstart", () => (isOwn = true));
    addEventListener("dragend", () => (isOwn = false));
    const hasFiles = (/** @type {DragEvent} */ { dataTransfer }) =>
        !isOwn && (dataTransfer?.types.includes("Files") ?? false);
    addEventListener("dragenter", (event) => {
        if (hasFiles(event)) sign.hidden = false;
    });
    addEventListener("dragover", (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault(); // or else the browser opens it in the page's stead
        if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    });
    addEventListener("dragleave", (event) => {
        if (event.relatedTarget === null) sign.hidden = true;
    });
    addEventListener("drop", async (event) => {
        sign.hidden = true;
        if (!hasFiles(event) || !event.dataTransfer) return;
        event.preventDefault();
        take(await filesDropped(event.dataTransfer));
    });
}

/**
 * What was dropped: files, and the pictures in folders.
 * @param {DataTransfer} data   it is empty as soon as the browser goes on
 */
async function filesDropped({ items }) {
    const dropped = [...items].map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
    const found = dropped.map(({ entry, file }) => {
        if (entry?.isDirectory) return picturesIn(/** @type {FileSystemDirectoryEntry} */ (entry));
        return file ? named([file]) : [];
    });
    return (await Promise.all(found)).flat();
}

/**
 * The pictures in a folder and in those within it, by their names.
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<NamedFile[]>}
 */
async function picturesIn(folder) {
    const entries = (await entriesOf(folder)).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    const found = [];
    for (const entry of entries) {
        if (entry.isDirectory) {
            found.push(...(await picturesIn(/** @type {FileSystemDirectoryEntry} */ (entry))));
        } else {
            const file = await fileOfEntry(/** @type {FileSystemFileEntry} */ (entry));
            if (file.type.startsWith("image/")) found.push({ name: entry.fullPath.replace(/^\//, ""), file });
        }
    }
    return found;
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<FileSystemEntry[]>}
 */
async function entriesOf(folder) {
    const reader = folder.createReader();
    /** @type {FileSystemEntry[]} */
    const all = [];
    for (;;) {
        /** @type {FileSystemEntry[]} */
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (some.length === 0) return all;
        all.push(...some);
    }
}

/**
 * @param {FileSystemFileEntry} entry
 * @returns {Promise<File>}
 */
function fileOfEntry(entry) {
    return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** @param {(files: NamedFile[]) => void} take */
function setUpPasting(take) {
    let count = 0;
    addEventListener("paste", ({ clipboardData }) => {
        // What is copied from a page has no name of its own, but "image.png".
        const own = (/** @type {string} */ name) => name.replace(/^image(?=\.\w+$)/, () => `pasted-${++count}`);
        take(named(clipboardData?.files ?? []).map(({ name, file }) => ({ name: own(name), file })));
    });
}

/** The photo that stands in the page. @returns {NamedFile} */
function exampleInPage() {
    const element = byId("example", HTMLElement);
    const file = new Blob([bytesOfBase64(element.textContent?.trim() ?? "")], { type: "image/jpeg" });
    return { name: element.dataset.name ?? "example.jpg", file };
}

/** @param {(photo: NamedFile) => void} take */
async function setUpExample(take) {
    await pageRead();
    const example = exampleInPage();
    const image = make("img", { alt: "" });
    image.src = URL.createObjectURL(example.file);
    const button = byId("example-photo", HTMLButtonElement);
    button.prepend(image);
    button.addEventListener("click", () => take(example));
}
