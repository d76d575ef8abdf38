// The engine (crates/cbam-web): texts and bytes in place of addresses, errors in place of statuses, and a new instance after a
// fault. All of it runs in a worker, which is made of this text: so nothing here may use what stands elsewhere.

/**
 * @typedef {object} EngineExports   what the engine gives; see its `abi.rs`
 * @property {WebAssembly.Memory} memory
 * @property {(length: number) => number} cbam_allocate
 * @property {(address: number) => number} cbam_release
 * @property {() => number} cbam_answer
 * @property {() => number} cbam_answer_length
 * @property {() => number} cbam_open_default
 * @property {(bytes: number, name: number) => number} cbam_open_weights
 * @property {() => number} cbam_describe
 * @property {(options: number) => number} cbam_head
 * @property {(photo: number, name: number, options: number) => number} cbam_look
 */

/** @typedef {"cbam_open_default" | "cbam_open_weights" | "cbam_describe" | "cbam_head" | "cbam_look"} EngineCall */

/**
 * @typedef {object} HeadOptions
 * @property {string} program
 * @property {string} date   as RFC 3339 has it
 * @property {string[]} command   the words of a command line that opens the network
 */

/**
 * @typedef {object} LookOptions
 * @property {number | null} short_side   of what the network sees, in pixels; null is its own
 * @property {"whole" | "means"} detail   how much is kept
 * @property {string[]} [maps]   those that come first, whatever they cost; else the usual ones
 * @property {number | null} [class]   the class that maps are of; null is the likeliest
 */

/**
 * @typedef {object} About   what there is to know of a network
 * @property {string} name
 * @property {number} short_side
 * @property {string[]} notes
 * @property {string[]} maps   those that it gives out or can be asked for
 * @property {string[]} [choices]   all that can be asked for by their names; if they are not told, they are those
 */

/** @typedef {{ index: IndexedPicture, picture: PictureData }} Seen */
/** @typedef {{ module: WebAssembly.Module } | { text: string }} EngineSource   the text is zipped (gzip) and in base64 */

class Engine {
    /** @type {WebAssembly.Module} */ #module;
    /** @type {EngineExports} */ #exports;
    /** Opens the network again in a new instance. @type {(exports: EngineExports) => unknown} */ #reopen = () => {};
    /** What was asked last, which what is asked next waits for. @type {Promise<unknown>} */ #last = Promise.resolve();

    /**
     * @param {WebAssembly.Module} module
     * @param {EngineExports} exports   of an instance of it
     */
    constructor(module, exports) {
        this.#module = module;
        this.#exports = exports;
    }

    /**
     * Makes an engine; no network is open as yet.
     * @param {WebAssembly.Module} module
     */
    static async start(module) {
        return new Engine(module, await instanceOf(module));
    }

    /** Opens the bundled network. */
    async openDefault() {
        await this.#open((exports) => callEngine(exports, "cbam_open_default"));
    }

    /**
     * Opens a network by its weights. If that fails, the one that was open stays.
     * @param {Uint8Array} bytes   kept, for a new instance after a fault
     * @param {string} name
     */
    async openWeights(bytes, name) {
        await this.#open((exports) => callEngine(exports, "cbam_open_weights", bytes, name));
    }

    /** @returns {Promise<About>} */
    async describe() {
        return JSON.parse(await this.#ask((exports) => callEngine(exports, "cbam_describe")));
    }

    /**
     * The head of a page that has no picture yet.
     * @param {HeadOptions} options
     * @returns {Promise<Head>}
     */
    async head(options) {
        return JSON.parse(await this.#ask((exports) => callEngine(exports, "cbam_head", JSON.stringify(options))));
    }

    /**
     * What the network sees in a photo.
     * @param {Uint8Array} photo   the bytes of its file
     * @param {string} name
     * @param {LookOptions} options
     * @returns {Promise<Seen>}
     */
    async look(photo, name, options) {
        const given = [photo, name, JSON.stringify(options)];
        return JSON.parse(await this.#ask((exports) => callEngine(exports, "cbam_look", ...given)));
    }

    /** @param {(exports: EngineExports) => string} open */
    async #open(open) {
        await this.#ask(open);
        this.#reopen = open;
    }

    /**
     * Asks once all that was asked before is answered.
     * @param {(exports: EngineExports) => string} question
     * @returns {Promise<string>}
     */
    #ask(question) {
        const answered = this.#last.then(() => this.#answer(question));
        this.#last = answered.catch(() => {});
        return answered;
    }

    /**
     * Asks, and puts a new instance in the place of one that had a fault: it is not to be used any more.
     * @param {(exports: EngineExports) => string} question
     */
    async #answer(question) {
        try {
            return question(this.#exports);
        } catch (error) {
            if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
            const said = lastWordsOf(this.#exports);
            this.#exports = await instanceOf(this.#module);
            this.#reopen(this.#exports);
            const fault = "the engine failed, for want of memory perhaps, and was started anew";
            throw new Error(said ? `${fault}: ${said}` : fault, { cause: error });
        }
    }
}

/**
 * @param {WebAssembly.Module} module
 * @returns {Promise<EngineExports>}
 */
async function instanceOf(module) {
    const { exports } = await WebAssembly.instantiate(module, {});
    return /** @type {EngineExports} */ (/** @type {unknown} */ (exports));
}

/**
 * Calls a function with what it takes, and gives its answer.
 * @param {EngineExports} exports
 * @param {EngineCall} name
 * @param {(Uint8Array | string)[]} given
 */
function callEngine(exports, name, ...given) {
    const addresses = given.map((part) => putIntoEngine(exports, part));
    const status = /** @type {(...addresses: number[]) => number} */ (exports[name])(...addresses);
    const text = answerOf(exports);
    if (status !== 0) throw new Error(text);
    return text;
}

/**
 * What a panic said, if it was one.
 * @param {EngineExports} exports
 */
function lastWordsOf(exports) {
    try {
        return answerOf(exports).replace(/\s+/g, " ");
    } catch {
        return ""; // the stack that it is told on had no end
    }
}

/**
 * Bytes or a text in the engine's memory: their address.
 * @param {EngineExports} exports
 * @param {Uint8Array | string} part
 */
function putIntoEngine(exports, part) {
    const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
    const address = exports.cbam_allocate(bytes.length) >>> 0;
    if (address === 0) throw new RangeError(`no memory for ${bytes.length} bytes`);
    new Uint8Array(exports.memory.buffer, address, bytes.length).set(bytes);
    return address;
}

/** @param {EngineExports} exports */
function answerOf(exports) {
    const length = exports.cbam_answer_length() >>> 0;
    return new TextDecoder().decode(new Uint8Array(exports.memory.buffer, exports.cbam_answer() >>> 0, length));
}

/**
 * The engine's program, compiled.
 * @param {EngineSource} source
 */
async function moduleOf(source) {
    if ("module" in source) return source.module;
    const decode = /** @type {{ fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }} */ (Uint8Array).fromBase64;
    const bytes = decode
        ? decode.call(Uint8Array, source.text)
        : Uint8Array.from(atob(source.text), (character) => character.charCodeAt(0));
    const unzipped = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return WebAssembly.compileStreaming(new Response(unzipped, { headers: { "Content-Type": "application/wasm" } }));
}

/** What the worker does: it answers what it is asked. */
function serveEngine() {
    /** @type {Engine | null} */
    let started = null;
    const engine = () => {
        if (!started) throw new Error("the engine has not started");
        return started;
    };
    /** What is known of the network that is open now. @param {HeadOptions} options */
    const opened = async (options) => ({ about: await engine().describe(), head: await engine().head(options) });
    /** @type {Record<string, (...given: any[]) => Promise<any>>} */
    const answers = {
        async start(source, options) {
            const module = await moduleOf(source);
            started = await Engine.start(module);
            return { ...(await answers.openDefault(options)), module };
        },
        async openDefault(options) {
            await engine().openDefault();
            return opened(options);
        },
        async openWeights(bytes, name, options) {
            await engine().openWeights(bytes, name);
            return opened(options);
        },
        look: (bytes, name, options) => engine().look(bytes, name, options),
    };
    addEventListener("message", async ({ data: { id, question, given } }) => {
        try {
            postMessage({ id, answer: await answers[question](...given) });
        } catch (error) {
            postMessage({ id, error: error instanceof Error ? error.message : String(error) });
        }
    });
}

/** The worker's program. */
function sourceOfWorker() {
    const parts = [Engine, instanceOf, callEngine, lastWordsOf, putIntoEngine, answerOf, moduleOf, serveEngine];
    return `"use strict";\n${parts.join("\n")}\nserveEngine();\n`;
}
