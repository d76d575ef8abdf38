// The network behind a live page, wherever it runs: in a worker of the page, or in the program that serves the page.

/** @typedef {{ about: About, head: Head }} Opened   a network that is open */
/** @typedef {Blob | number} PhotoSource   a file, or its place among those that the serving program was given */
/** @typedef {{ name: string, file: PhotoSource }} NamedPhoto */
/** @typedef {{ name: string, file: Blob }} NamedFile */

/**
 * @typedef {object} EngineClient
 * @property {Opened} first   the network that is open at first
 * @property {string[]} photos   the names of the photos that the serving program was given
 * @property {((weights: NamedFile | null, options: HeadOptions) => Promise<Opened>) | null} open   opens a network by its weights,
 *   null: by those that are bundled; null: the network stays the first one
 * @property {(photo: NamedPhoto, options: LookOptions, signal?: AbortSignal) => Promise<Seen>} look   with a signal it can be stopped,
 *   and is made aside, if the engine can
 * @property {string} meanwhile   what happens to all else while such a look takes long, in words
 * @property {(() => Promise<unknown>) | null} warmUp   what makes the first look quicker, if anything does
 */

/**
 * @param {LiveSource} source
 * @param {(command: string[]) => HeadOptions} headOptions
 * @returns {Promise<EngineClient>}
 */
function startClient({ engine, served }, headOptions) {
    if (served) return startServed();
    tellLive("Loading the network …");
    return startEngine(engine, headOptions(["cbam-run"]), tellProgress);
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
