// What is asked about the picture that is shown, beside what all are asked: other maps, and other classes.

/** That what is made is of a size or a network that was left: it is made again when its picture is shown. */
const LEFT = new Error("the network or its size is another now");

/**
 * A map that is to be made of a picture.
 * @typedef {object} Wish
 * @property {number} index
 * @property {AddedMap} added
 * @property {() => boolean} isAwaited   whether it is to be shown at once when it is there
 * @property {boolean} [isQuiet]   whether nothing is said of it but why it is not made
 */

class Asking {
    /** Costly maps wait for each other, and nothing else waits for them. @type {Wish[]} */ #waiting = [];
    /** The one that is made now. @type {{ wish: Wish, stopping: AbortController } | null} */ #costly = null;
    /** How often a class was asked for: what comes late is not shown. */
    #asked = 0;

    /** @param {LiveParts} live */
    constructor(live) {
        this.live = live;
        byId("stop-map", HTMLButtonElement).addEventListener("click", () =>
            this.#costly?.stopping.abort(new Error("it was stopped")),
        );
    }

    /**
     * Adds a map to those of the picture that is shown.
     * @param {string} name
     */
    async addMap(name) {
        const { photos, routes, tell } = this.live;
        const [viewer, index] = [page.viewer, routes.opened()];
        if (!viewer || index === null) return;
        const { picture, chosen, map, mode } = viewer.store.state;
        if (isThere(viewer, name)) {
            chooseMap(viewer, name);
            return;
        }
        const id = photos.classOf(index, picture.data, chosen);
        if (this.#isWished(index, name, id)) {
            tell(`${name} is being made already.`);
            return;
        }
        const added = photos.remember(index, name, id);
        const { state } = viewer.store;
        await this.#make({ index, added, isAwaited: () => state.map === map && state.mode === mode });
    }

    /**
     * Makes costly maps again that a picture had at another size or with another network.
     * @param {number} index
     * @param {AddedMap[]} lacking
     */
    resume(index, lacking) {
        const state = page.viewer?.store.state;
        for (const added of lacking) {
            if (this.#underWay().some((wish) => wish.added === added)) continue;
            const wasShown = state?.picture.index === index && state.map === (added.map?.name ?? added.name);
            // Until it is there again, the first one is shown in its place.
            this.#make({ index, added, isAwaited: () => wasShown && state.map === state.picture.maps[0].name });
        }
    }

    /** Costly maps that are made, or wait. */
    #underWay() {
        const made = this.#costly && !this.#costly.stopping.signal.aborted ? [this.#costly.wish] : [];
        return [...made, ...this.#waiting];
    }

    /**
     * Whether a costly map is made already, or waits for another.
     * @param {number} index
     * @param {string} name
     * @param {number | null} id   the class
     */
    #isWished(index, name, id) {
        const isThat = (/** @type {Wish} */ { index: of, added }) =>
            of === index && added.name.toLowerCase() === name.toLowerCase() && added.class === id;
        return this.#underWay().some(isThat);
    }

    /** Leaves what is being made for a size or a network that is another now. */
    leave() {
        this.#waiting = [];
        this.#costly?.stopping.abort(LEFT);
    }

    /**
     * Leaves what is being made of a picture.
     * @param {number} index
     */
    leavePicture(index) {
        this.#waiting = this.#waiting.filter((wish) => wish.index !== index);
        if (this.#costly?.wish.index === index) this.#costly.stopping.abort(LEFT);
    }

    /**
     * A class was chosen. If the page lacks what its maps are made of, the network looks again; maps that were added are made for
     * it too, unless they are costly.
     * @param {number} index
     * @param {number} id
     * @param {boolean} isKept
     */
    async askClass(index, id, isKept) {
        const { app, photos, tell } = this.live;
        const own = ++this.#asked;
        const { name } = photos.at(index);
        const words = `${name} for ${className(app.head.network, id)}`;
        try {
            if (isKept) return await this.#follow(index, id, () => own === this.#asked);
            tell(`Looking at ${words} …`);
            const took = await photos.askClass(index, id, () => own === this.#asked);
            if (own !== this.#asked) return undefined;
            await showAnew(this.live, index);
            return tell(`${words}: looked at in ${secondsInWords(took)}.`);
        } catch (error) {
            return tell(`${words}: ${withoutName(wordsOfError(error), name)}.`, true);
        }
    }

    /**
     * Makes maps that were added for a class that was chosen.
     * @param {number} index
     * @param {number} id
     * @param {() => boolean} isChosen   whether it still is
     */
    async #follow(index, id, isChosen) {
        const { photos } = this.live;
        const data = page.viewer?.store.state.picture.data;
        for (const added of photos.at(index).maps) {
            const isOther = added.map?.ofClass && added.map.explains !== id;
            if (!isOther || COSTLY.test(added.name) || !isChosen()) continue;
            added.class = data ? photos.classOf(index, data, id) : id;
            await this.#make({ index, added, isAwaited: () => false, isQuiet: true });
        }
    }

    /** @param {Wish} wish */
    async #make(wish) {
        if (!COSTLY.test(wish.added.name)) return this.#attempt(wish);
        this.#waiting.push(wish);
        if (this.#costly) {
            if (this.#costly.stopping.signal.aborted) return undefined;
            return this.live.tell(`${wish.added.name} comes after ${this.#costly.wish.added.name}.`);
        }
        for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
            this.#costly = { wish: next, stopping: new AbortController() };
            showStop(next.added.name);
            try {
                await this.#attempt(next, this.#costly.stopping.signal);
            } finally {
                this.#costly = null;
                showStop(null);
            }
        }
        return undefined;
    }

    /**
     * @param {Wish} wish
     * @param {AbortSignal} [signal]
     */
    async #attempt(wish, signal) {
        const { index, added, isQuiet } = wish;
        const { engine, photos, tell } = this.live;
        const { name } = photos.at(index);
        const long = signal ? ` This may take minutes; ${engine.meanwhile}.` : "";
        if (!isQuiet) tell(`Making ${added.name} of ${name} …${long}`);
        try {
            const { map, took } = await photos.make(index, added, signal);
            await this.#show(wish, map);
            if (!isQuiet) tell(`${map.name} of ${name}: made in ${secondsInWords(took)}.`);
        } catch (error) {
            if (error === LEFT) return;
            photos.forget(index, added);
            tell(`${added.name} of ${name} is not made: ${withoutMap(withoutName(wordsOfError(error), name))}.`, !signal?.aborted);
        }
    }

    /**
     * Puts a map among those of its picture, if that is shown.
     * @param {Wish} wish
     * @param {PageMap} map
     */
    async #show({ index, isAwaited }, map) {
        const { routes } = this.live;
        routes.forget();
        if (routes.opened() !== index) return;
        const { viewer } = page;
        const picture = viewer?.store.state.picture;
        if (!viewer || picture?.index !== index) {
            await routes.route(); // it is on its way
            return;
        }
        const maps = withMaps(picture.maps, [map]);
        const shown = isAwaited() ? { map: map.name, mode: /** @type {const} */ ("map") } : {};
        viewer.store.set({ picture: { ...picture, maps }, ...shown });
    }
}

/**
 * Whether a picture has a map already, of the class that is chosen if it is of one.
 * @param {Viewer} viewer
 * @param {string} name
 */
function isThere({ store, maps }, name) {
    const { chosen } = store.state;
    return maps().some((map) => map.name === name && (map.explains === null || map.explains === chosen));
}

/**
 * A message without the map's name that it begins with, where the name is said anyhow.
 * @param {string} message
 */
function withoutMap(message) {
    return message.replace(/^map \S+: /, "");
}

/**
 * The button that stops what takes long.
 * @param {string | null} name   the map that is made; null: none is
 */
function showStop(name) {
    const stop = byId("stop-map", HTMLButtonElement);
    stop.hidden = name === null;
    if (name !== null) stop.textContent = `Stop ${name}`;
}

/**
 * The box that takes the name of a map: one of those that the network can be asked for, or any that is typed.
 * @param {LiveParts} live
 * @param {Asking} asking
 */
function setUpAddMap(live, asking) {
    const input = byId("add-map", HTMLInputElement);
    const choices = (/** @type {string} */ text) => {
        const { viewer } = page;
        if (!viewer) return [];
        const { choices, maps } = live.about;
        const names = (choices ?? maps).filter((name) => !name.startsWith("channel") && !isThere(viewer, name));
        const offered = names.map((name) => ({ id: name, words: name, note: noteOfMap(name) }));
        const typed = text.trim();
        if (isThere(viewer, typed)) return [{ id: typed, words: typed, note: "there already" }, ...offered];
        if (typed === "" || matchesOf(offered, typed).length) return offered;
        return [{ id: typed, words: typed, note: "as typed" }];
    };
    makeCombobox({
        input,
        list: byId("add-map-list", HTMLUListElement),
        choices,
        choose: ({ id }) => {
            input.value = "";
            asking.addMap(id);
        },
        kind: ["map", "maps"],
    });
}

/**
 * What a map is, and whether it takes long.
 * @param {string} name
 */
function noteOfMap(name) {
    const words = mapInWords(name);
    return COSTLY.test(name) ? `${words}${words && "; "}takes long` : words;
}
