// A film's data: the video, and of each frame its time, its likeliest classes and its maps.

/**
 * @typedef {object} FilmData
 * @property {string} name
 * @property {Size} size
 * @property {Size} network_size
 * @property {[number, number, number, number] | null} seen
 * @property {string | null} damaged
 * @property {string[]} notes
 * @property {string[]} done   what was done to its maps
 * @property {number | null} likeliest   the class that the network holds the likeliest on the whole, if maps are of that
 * @property {number | null} explained   the class that they are of
 * @property {{ kind: string, size: Size, sound: boolean }} video
 * @property {{ name: string, range: MapRange, of_class: boolean, grid: Grid, cell: [number, number] | null, low: number,
 *   high: number }[]} maps   `low` and `high`: what the codes 0 and 255 stand for
 * @property {number[]} times   when each frame is shown, in milliseconds
 * @property {number[]} cuts   the frames that shots begin with
 * @property {[number, number][][]} top   the likeliest classes of each frame and their probabilities
 */

/**
 * @typedef {object} Film
 * @property {FilmData} data
 * @property {Picture} picture   the frame that is shown
 * @property {HTMLVideoElement} video
 * @property {(index: number) => PageMap[]} mapsAt   the maps of a frame
 * @property {(name: string, place: number) => Float32Array} course   the values of a map at a place of its grid, frame by frame
 */

/**
 * Reads the film that the page holds.
 * @returns {Promise<Film>}
 */
async function readFilm() {
    // Of the page's parts the video is the last.
    const video = await elementOnceWhole("script#film-video");
    const text = (await elementOnceWhole("script.picture")).textContent ?? "";
    /** @type {FilmData} */
    const data = JSON.parse(text);
    const maps = await elementOnceWhole("script#film-maps");
    const codes = new Uint8Array(await unzipped(maps.textContent ?? ""));
    const player = await videoOf(video.textContent ?? "", data.video.kind);
    // What they held is held otherwise now.
    maps.remove();
    video.remove();
    return filmOf(data, codes, player);
}

/**
 * A video that can be shown at any time.
 * @param {string} text
 * @param {string} kind
 * @returns {Promise<HTMLVideoElement>}
 */
function videoOf(text, kind) {
    const video = make("video", { preload: "auto", playsinline: true, hidden: true });
    return new Promise((resolve, reject) => {
        video.addEventListener("loadeddata", () => resolve(video), { once: true });
        video.addEventListener("error", () => reject(new Error(wordsOfVideo(video))), { once: true });
        video.src = URL.createObjectURL(new Blob([bytesOfBase64(text)], { type: kind }));
    });
}

/** @param {HTMLVideoElement} video */
function wordsOfVideo({ error }) {
    return `this browser does not play the film: ${error?.message || "it does not say why"}`;
}

/**
 * @param {FilmData} data
 * @param {Uint8Array} codes   the maps of the first frame, then those of the second
 * @param {HTMLVideoElement} video
 * @returns {Film}
 */
function filmOf(data, codes, video) {
    const cells = data.maps.map(({ grid }) => grid[0] * grid[1]);
    const begins = cells.map((_, at) => sumOf(Float32Array.from(cells.slice(0, at))));
    const stride = cells.reduce((sum, own) => sum + own, 0);
    if (codes.length !== stride * data.times.length) throw new Error("the page does not hold the maps of all frames");
    const mapsAt = (/** @type {number} */ index) =>
        data.maps.map(({ name, range, of_class: ofClass, grid, cell, low, high }, at) => {
            const values = numbersOnScale(codes, index * stride + begins[at], cells[at], low, high);
            return { name, range, ofClass, explains: ofClass ? data.explained : null, grid, values, cell };
        });
    const course = (/** @type {string} */ name, /** @type {number} */ place) => {
        const at = Math.max(0, data.maps.findIndex((map) => map.name === name));
        const { low, high } = data.maps[at];
        const value = (/** @type {unknown} */ _, /** @type {number} */ index) =>
            low + ((high - low) * codes[index * stride + begins[at] + place]) / 255;
        return Float32Array.from({ length: data.times.length }, value);
    };
    return { data, video, mapsAt, course, picture: pictureOfFilm(data, mapsAt(0)) };
}

/**
 * The first frame, as yet without pixels.
 * @param {FilmData} data
 * @param {PageMap[]} maps
 * @returns {Picture}
 */
function pictureOfFilm(data, maps) {
    const { name, size, network_size, seen, damaged, notes, done, likeliest, explained, video } = data;
    const shown = { size, network_size, seen, damaged, notes, done, likeliest, explained };
    const none = { probabilities: null, attention: [], gates: [], classes: null, ground: null };
    const [width, height] = video.size;
    return {
        index: 0,
        name,
        frame: 0,
        image: make("canvas", { width, height, role: "img", "aria-label": name }),
        top: data.top[0] ?? [],
        data: { ...shown, ...none, photo: "", photo_size: video.size, maps: [], rule: null, blob: "" },
        ...none,
        maps,
    };
}

/**
 * The frame that is shown at a time: the last that has begun.
 * @param {number[]} times   in milliseconds
 * @param {number} time
 */
function frameAt(times, time) {
    let [from, to] = [0, times.length];
    while (to - from > 1) {
        const middle = (from + to) >> 1;
        if (times[middle] <= time) from = middle;
        else to = middle;
    }
    return from;
}
