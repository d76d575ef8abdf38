// The photos that came, and what the network sees in them: one after the other, and before all others what is opened.

/** So many pictures' data are kept whole; others are looked at again when they are opened. */
const RECORDS = 20;

/** Kinds that some browsers read, and the engine does not. */
const FOREIGN = /^image\/(avif|heic|heif|jxl)/;

/** Maps of so many passes through the network that they may take minutes in a browser. */
const COSTLY = /^(scorecam|ablationcam|occlusion|rise)(:|$)/i;

/**
 * @typedef {object} LivePhoto
 * @property {string} name
 * @property {PhotoSource} file
 * @property {boolean} alone   whether it is opened as soon as it was looked at
 * @property {number} place   in the page's list; -1: not there yet
 * @property {number} of   the setting that its card is of; -1: of none
 * @property {number | null} class   the class that its maps are asked for; null is the usual one, the likeliest as a rule
 * @property {AddedMap[]} maps   those that were asked for besides the usual ones
 */

/**
 * @typedef {object} AddedMap
 * @property {string} name   as it was asked for
 * @property {number | null} class   null is the usual one
 * @property {number} of   the setting that it is of; -1: it is not made yet
 * @property {PageMap | null} map
 * @property {AddedMap} [before]   what was in its place, until it is made
 */

/**
 * @typedef {object} PhotoEvents
 * @property {() => void} listed   the page's list is another
 * @property {(index: number) => void} open   a picture is to be opened
 * @property {(index: number, lacking: AddedMap[]) => void} lacking   costly maps of a picture that is opened are not of this setting
 * @property {(words: string, isWrong?: boolean) => void} tell
 */

class Photos {
    /** In the order of the page's list; null: taken off. @type {(LivePhoto | null)[]} */ #listed = [];
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
     * @param {Head["pictures"]} entries   the page's list
     * @param {PhotoEvents} events
     */
    constructor(engine, entries, events) {
        this.engine = engine;
        this.entries = entries;
        this.events = events;
    }

    /** @param {NamedPhoto[]} files */
    add(files) {
        const alone = files.length === 1 && this.#waiting.length === 0;
        const more = files.map(({ name, file }) => ({ name, file, alone, place: -1, of: -1, class: null, maps: [] }));
        this.#waiting.push(...more);
        this.#count.all += files.length;
        this.#work();
    }

    /**
     * Takes a photo off the list. Its place stays, so that those of the others do.
     * @param {number} index
     */
    remove(index) {
        this.#listed[index] = null;
        this.#records.delete(index);
        this.entries[index] = null;
        this.events.listed();
    }

    /**
     * @param {number} index
     * @returns {LivePhoto}
     */
    at(index) {
        const photo = this.#listed[index];
        if (!photo) throw new Error("this picture was taken off the list");
        return photo;
    }

    /**
     * A picture's data, for the page's viewer.
     * @param {number} index
     * @returns {Promise<PictureData>}
     */
    async dataOf(index) {
        await this.#changed;
        const photo = this.at(index);
        const kept = this.#records.get(index);
        const { picture, of } = kept
            ? { picture: kept, of: this.#setting.number }
            : await this.#look(photo, { detail: "whole", class: photo.class });
        if (of !== this.#setting.number) return this.dataOf(index);
        this.keep(index, picture);
        for (const added of photo.maps) if (!COSTLY.test(added.name)) await this.#remake(photo, added, picture.explained);
        if (of !== this.#setting.number) return this.dataOf(index);
        const made = photo.maps.filter(({ of }) => of === this.#setting.number);
        const lacking = photo.maps.filter((added) => !made.includes(added));
        if (lacking.length) this.events.lacking(index, lacking);
        return { ...picture, added: made.flatMap(({ map }) => map ?? []) };
    }

    /**
     * Makes a map again that is of another setting, or of another class than the picture's others.
     * @param {LivePhoto} photo
     * @param {AddedMap} added
     * @param {number | null} explained
     */
    async #remake(photo, added, explained) {
        const isOf = !added.map?.ofClass || added.map.explains === explained;
        if (added.of === this.#setting.number && isOf) return;
        added.class = photo.class;
        try {
            await this.make(photo.place, added);
        } catch (error) {
            this.forget(photo.place, added);
            this.events.tell(`${added.name} is not made: ${withoutName(wordsOfError(error), photo.name)}.`, true);
        }
    }

    /**
     * A class as it is asked for: null if it is the one that maps are of anyhow, whichever that will be at another size.
     * @param {number} index
     * @param {PictureData} data
     * @param {number | null} id
     */
    classOf(index, { explained }, id) {
        return this.at(index).class === null && id === explained ? null : id;
    }

    /**
     * Remembers a map that a photo is to have besides.
     * @param {number} index
     * @param {string} name
     * @param {number | null} id   the class; null is the usual one
     */
    remember(index, name, id) {
        const photo = this.at(index);
        /** @type {AddedMap} */
        const added = { name, class: id, of: -1, map: null, before: photo.maps.find((other) => other.name === name) };
        photo.maps = [...photo.maps.filter((other) => other.name !== name), added];
        return added;
    }

    /**
     * Forgets a map that is not made after all; what was in its place before is there again.
     * @param {number} index
     * @param {AddedMap} added
     */
    forget(index, added) {
        const photo = this.#listed[index];
        if (photo) photo.maps = photo.maps.flatMap((other) => (other === added ? (added.before ?? []) : other));
    }

    /**
     * Makes a map that a photo is to have besides: how long it took, in milliseconds.
     * @param {number} index
     * @param {AddedMap} added
     * @param {AbortSignal} [signal]   for one that takes long
     * @returns {Promise<{ map: PageMap, took: number }>}
     */
    async make(index, added, signal) {
        const { name, class: id } = added;
        const { picture, of, took } = await this.#look(this.at(index), { detail: "whole", maps: [name], class: id }, signal);
        if (of !== this.#setting.number || id !== added.class) return this.make(index, added, signal);
        const [map] = mapsIn({ ...picture, maps: picture.maps.slice(0, 1) }, await unzipped(picture.blob));
        Object.assign(added, { map, of, before: undefined });
        return { map, took };
    }

    /**
     * Looks at a photo for a class of which its record says nothing.
     * @param {number} index
     * @param {number} id
     * @param {() => boolean} isWanted   whether it still is when it comes
     * @returns {Promise<number>}   how long it took, in milliseconds
     */
    async askClass(index, id, isWanted) {
        const photo = this.at(index);
        const { picture, of, took } = await this.#look(photo, { detail: "whole", class: id });
        if (!isWanted()) return took;
        if (of !== this.#setting.number) return this.askClass(index, id, isWanted);
        photo.class = id;
        this.keep(index, picture);
        return took;
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
     * A photo on which a size can be tried: the one that is shown, or else the first that was read.
     * @param {number | null} shown
     * @returns {LivePhoto | NamedPhoto}
     */
    sample(shown) {
        const index = shown ?? readPictures(this.entries).at(0)?.index ?? -1;
        return this.#listed[index] ?? exampleInPage();
    }

    /**
     * Looks at a photo at another size, and at all others if that can be.
     * @param {LivePhoto | NamedPhoto} photo
     * @param {number | null} shortSide
     */
    async resize(photo, shortSide) {
        const listed = "place" in photo ? photo : null;
        /** @type {LookOptions} */
        const options = { short_side: shortSide, detail: "whole", class: listed?.class };
        const { picture } = await this.change(shortSide, () => this.#ask(photo, options));
        if (listed && this.#listed[listed.place] === listed) this.keep(listed.place, picture);
        return picture;
    }

    /** Forgets the classes that were asked for, which another network may not have, and the maps of which it would take minutes. */
    forgetNetwork() {
        for (const photo of this.#listed.filter((photo) => photo !== null)) {
            const maps = photo.maps.filter(({ name }) => !COSTLY.test(name)).map((added) => ({ ...added, class: null }));
            Object.assign(photo, { class: null, maps });
        }
    }

    /**
     * @param {LivePhoto} photo
     * @param {Omit<LookOptions, "short_side">} options
     * @param {AbortSignal} [signal]
     */
    async #look(photo, options, signal) {
        await this.#changed;
        const { number, shortSide } = this.#setting;
        const begun = performance.now();
        const seen = await this.#ask(photo, { short_side: shortSide, ...options }, signal);
        return { ...seen, of: number, took: performance.now() - begun };
    }

    /**
     * @param {NamedPhoto} photo
     * @param {LookOptions} options
     * @param {AbortSignal} [signal]
     */
    async #ask({ name, file }, options, signal) {
        const redrawn = file instanceof Blob && FOREIGN.test(file.type) ? await redrawnByBrowser(file) : null;
        const seen = await this.engine.look({ name, file: redrawn ?? file }, options, signal);
        if (redrawn) seen.picture.notes.unshift("Read by the browser: cbam-run reads no files of this kind.");
        return seen;
    }

    /** Those that wait, and then those that were looked at with another setting. */
    #next() {
        return this.#waiting.shift() ?? this.#listed.find((photo) => photo && photo.of !== this.#setting.number);
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
            return await this.#look(photo, { detail });
        } catch (error) {
            return { error: withoutName(wordsOfError(error), photo.name), of: this.#setting.number };
        }
    }

    /**
     * @param {LivePhoto} photo
     * @param {{ of: number } & ({ index: IndexedPicture } | { error: string })} seen
     */
    #enter(photo, seen) {
        if (this.#listed[photo.place] !== photo) return; // it was taken off meanwhile
        photo.of = seen.of;
        this.entries[photo.place] = "error" in seen ? { name: photo.name, error: seen.error } : seen.index;
        this.events.listed();
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
    const seconds = milliseconds / 1000;
    return seconds < 99.5 ? `${seconds.toPrecision(2)} s` : `${(seconds / 60).toPrecision(2)} min`;
}

/** @param {{ all: number, failed: number }} count */
function wordsOfMany({ all, failed }) {
    if (!failed) return `${countOfPictures(all)} looked at.`;
    return `${grouped(all - failed)} of ${countOfPictures(all)} looked at; ${grouped(failed)} not read.`;
}
