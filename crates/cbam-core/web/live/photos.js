// The photos that came, and what the network sees in them: one after the other, and before all others what is opened.

/** So many pictures' data are kept whole; others are looked at again when they are opened. */
const RECORDS = 20;

/** Kinds that some browsers read, and the engine does not. */
const FOREIGN = /^image\/(avif|heic|heif|jxl)/;

/**
 * @typedef {object} LivePhoto
 * @property {string} name
 * @property {Blob} file
 * @property {boolean} alone   whether it is opened as soon as it was looked at
 * @property {number} place   in the page's list; -1: not there yet
 * @property {number} of   the setting that its card is of; -1: of none
 */

/**
 * @typedef {object} PhotoEvents
 * @property {() => void} listed   the page's list is another
 * @property {(index: number) => void} open   a picture is to be opened
 * @property {(words: string, isWrong?: boolean) => void} tell
 */

class Photos {
    /** In the order of the page's list. @type {LivePhoto[]} */ #listed = [];
    /** @type {LivePhoto[]} */ #waiting = [];
    /** @type {Map<number, PictureData>} */ #records = new Map();
    /** What photos are looked at with: its number is another after each change. */
    #setting = { number: 0, shortSide: /** @type {number | null} */ (null) };
    /** Settles when no change of the setting is on its way. @type {Promise<unknown>} */ #changed = Promise.resolve();
    /** Of those that came together. */
    #count = { done: 0, failed: 0, all: 0 };
    #isWorking = false;

    /**
     * @param {EngineClient} engine
     * @param {IndexEntry[]} entries   the page's list
     * @param {PhotoEvents} events
     */
    constructor(engine, entries, events) {
        this.engine = engine;
        this.entries = entries;
        this.events = events;
    }

    /** @param {NamedFile[]} files */
    add(files) {
        const alone = files.length === 1 && this.#waiting.length === 0;
        this.#waiting.push(...files.map(({ name, file }) => ({ name, file, alone, place: -1, of: -1 })));
        this.#count.all += files.length;
        this.#work();
    }

    /**
     * A picture's data, for the page's viewer.
     * @param {number} index
     * @returns {Promise<PictureData>}
     */
    async dataOf(index) {
        await this.#changed;
        const kept = this.#records.get(index);
        const { picture, of } = kept
            ? { picture: kept, of: this.#setting.number }
            : await this.#look(this.#listed[index], "whole");
        if (of !== this.#setting.number) return this.dataOf(index);
        this.keep(index, picture);
        return picture;
    }

    /**
     * A photo on which a size can be tried: the one that is shown, or else the first.
     * @param {number | null} index
     */
    sample(index) {
        return this.#listed.at(index ?? 0) ?? null;
    }

    shortSide() {
        return this.#setting.shortSide;
    }

    /**
     * @param {number} index
     * @param {PictureData} picture
     */
    keep(index, picture) {
        this.#records.delete(index);
        this.#records.set(index, picture);
        for (const old of [...this.#records.keys()].slice(0, -RECORDS)) this.#records.delete(old);
    }

    /**
     * Changes what photos are looked at with. All are looked at again then, unless the change fails.
     * @template Result
     * @param {number | null} shortSide
     * @param {() => Promise<Result>} change
     * @returns {Promise<Result>}
     */
    change(shortSide, change) {
        const changed = this.#changed.then(async () => {
            const result = await change();
            this.#setting = { number: this.#setting.number + 1, shortSide };
            this.#records.clear();
            return result;
        });
        this.#changed = changed.catch(() => {});
        changed.then(
            () => this.#work(),
            () => {},
        );
        return changed;
    }

    /**
     * @param {LivePhoto} photo
     * @param {LookOptions["detail"]} detail
     */
    async #look({ name, file }, detail) {
        const redrawn = FOREIGN.test(file.type) ? await redrawnByBrowser(file) : null;
        const bytes = await bytesOfFile(redrawn ?? file);
        await this.#changed;
        const { number, shortSide } = this.#setting;
        const begun = performance.now();
        const seen = await this.engine.look(bytes, name, { short_side: shortSide, detail });
        if (redrawn) seen.picture.notes.unshift("Read by the browser: cbam-run reads no files of this kind.");
        return { ...seen, of: number, took: performance.now() - begun };
    }

    /** Those that wait, and then those that were looked at with another setting. */
    #next() {
        return this.#waiting.shift() ?? this.#listed.find(({ of }) => of !== this.#setting.number);
    }

    async #work() {
        if (this.#isWorking) return;
        this.#isWorking = true;
        for (let photo = this.#next(); photo; photo = this.#next()) {
            if (photo.place < 0) await this.#lookFirst(photo);
            else await this.#lookAgain(photo);
        }
        this.#isWorking = false;
    }

    /** @param {LivePhoto} photo */
    async #lookFirst(photo) {
        const { all, done } = this.#count;
        const { tell } = this.events;
        tell(`Looking at ${photo.name}${all > 1 ? `, ${grouped(done + 1)} of ${grouped(all)}` : ""} …`);
        const seen = await this.#seen(photo, photo.alone ? "whole" : "means");
        photo.place = this.#listed.push(photo) - 1;
        this.#enter(photo, seen);
        this.#count.done++;
        if ("error" in seen) {
            this.#count.failed++;
            tell(`${photo.name} is not read: ${seen.error}.`, true);
        } else if (photo.alone) {
            photo.of = -1; // its card has no small picture yet
            if (seen.of === this.#setting.number) this.keep(photo.place, seen.picture);
            tell(`${photo.name}: looked at in ${secondsInWords(seen.took)}.`);
            this.events.open(photo.place);
        }
        if (this.#waiting.length) return;
        if (this.#count.all > 1) tell(wordsOfMany(this.#count), this.#count.failed > 0);
        this.#count = { done: 0, failed: 0, all: 0 };
    }

    /** @param {LivePhoto} photo */
    async #lookAgain(photo) {
        this.#enter(photo, await this.#seen(photo, "means"));
    }

    /**
     * What is seen in a photo, or why nothing is.
     * @param {LivePhoto} photo
     * @param {LookOptions["detail"]} detail
     */
    async #seen(photo, detail) {
        try {
            return await this.#look(photo, detail);
        } catch (error) {
            return { error: withoutName(wordsOfError(error), photo.name), of: this.#setting.number };
        }
    }

    /**
     * @param {LivePhoto} photo
     * @param {{ of: number } & ({ index: IndexedPicture } | { error: string })} seen
     */
    #enter(photo, seen) {
        photo.of = seen.of;
        this.entries[photo.place] = "error" in seen ? { name: photo.name, error: seen.error } : seen.index;
        this.events.listed();
    }
}

/**
 * @param {Blob} file
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function bytesOfFile(file) {
    try {
        return new Uint8Array(await file.arrayBuffer());
    } catch (error) {
        // A folder, or a file that is gone or was changed since.
        throw new Error(`the browser cannot read it (${wordsOfError(error)})`, { cause: error });
    }
}

/**
 * A photo as the browser reads it, if it does.
 * @param {Blob} file
 * @returns {Promise<Blob | null>}
 */
async function redrawnByBrowser(file) {
    const bitmap = await createImageBitmap(file).catch(() => null);
    if (!bitmap) return null;
    const canvas = make("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    penOf(canvas).drawImage(bitmap, 0, 0);
    bitmap.close();
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/**
 * A message without the name that it begins with, where the name is said anyhow.
 * @param {string} message
 * @param {string} name
 */
function withoutName(message, name) {
    return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
}

/** @param {number} milliseconds */
function secondsInWords(milliseconds) {
    return `${(milliseconds / 1000).toPrecision(2)} s`;
}

/** @param {{ all: number, failed: number }} count */
function wordsOfMany({ all, failed }) {
    if (!failed) return `${countOfPictures(all)} looked at.`;
    return `${grouped(all - failed)} of ${countOfPictures(all)} looked at; ${grouped(failed)} not read.`;
}
