// The engine of the live page (crates/cbam-web) as JavaScript has it: texts and bytes in place of addresses, errors in place of
// statuses, and a new instance after a fault.

/**
 * @typedef {object} HeadOptions
 * @property {string} [program] the program that makes the page, with its version
 * @property {string} [date] when, as RFC 3339 has it
 * @property {string[]} [command] the words of a command line that opens this network
 * @property {string[]} [maps] the maps that are shown
 * @property {number | string | null} [class] the class that maps are of
 */

/**
 * @typedef {object} LookOptions
 * @property {number | null} [short_side] the short side of what the network sees, in pixels
 * @property {string[]} [maps] the maps that are shown
 * @property {number | string | null} [class] the class that maps are of
 * @property {"whole" | "means"} [detail] how much is kept
 */

/**
 * @typedef {object} Exports what the engine gives; see `abi.rs`
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

const FAULT = "the engine failed, for want of memory perhaps, and was started anew";

export class Engine {
    /** @type {WebAssembly.Module} */ #module;
    /** @type {Exports} */ #exports;
    /** Opens the network again in a new instance. @type {(exports: Exports) => unknown} */ #reopen = () => {};
    /** What was asked last, which what is asked next waits for. @type {Promise<unknown>} */ #last = Promise.resolve();

    /**
     * @param {WebAssembly.Module} module
     * @param {Exports} exports of an instance of it
     */
    constructor(module, exports) {
        this.#module = module;
        this.#exports = exports;
    }

    /**
     * Makes an engine; no network is open as yet.
     * @param {BufferSource | WebAssembly.Module} source the bytes of `cbam_web.wasm`, or what they were compiled to
     */
    static async start(source) {
        const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
        return new Engine(module, await instance(module));
    }

    /** Opens the bundled network. */
    async openDefault() {
        await this.#open((exports) => call(exports, "cbam_open_default"));
    }

    /**
     * Opens a network by its weights: safetensors, or what `torch.save` wrote. If that fails, the one that was open stays.
     * @param {Uint8Array} bytes kept, for a new instance after a fault
     * @param {string} name
     */
    async openWeights(bytes, name) {
        await this.#open((exports) => call(exports, "cbam_open_weights", bytes, name));
    }

    /** What there is to know of the network. */
    async describe() {
        return JSON.parse(await this.#ask((exports) => call(exports, "cbam_describe")));
    }

    /**
     * The head of a page that has no picture yet.
     * @param {HeadOptions} [options]
     */
    async head(options = {}) {
        return JSON.parse(await this.#ask((exports) => call(exports, "cbam_head", JSON.stringify(options))));
    }

    /**
     * What the network sees in a photo: `index`, for a list of pictures, and `picture`, all that is shown of it.
     * @param {Uint8Array} photo the bytes of its file
     * @param {string} name
     * @param {LookOptions} [options]
     * @returns {Promise<{index: any, picture: any}>}
     */
    async look(photo, name, options = {}) {
        return JSON.parse(await this.#ask((exports) => call(exports, "cbam_look", photo, name, JSON.stringify(options))));
    }

    /** @param {(exports: Exports) => string} open */
    async #open(open) {
        await this.#ask(open);
        this.#reopen = open;
    }

    /**
     * Asks once all that was asked before is answered.
     * @param {(exports: Exports) => string} question
     * @returns {Promise<string>}
     */
    #ask(question) {
        const answered = this.#last.then(() => this.#answer(question));
        this.#last = answered.catch(() => {});
        return answered;
    }

    /**
     * Asks, and puts a new instance in the place of one that had a fault: it is not to be used any more.
     * @param {(exports: Exports) => string} question
     */
    async #answer(question) {
        try {
            return question(this.#exports);
        } catch (error) {
            if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
            const said = lastWords(this.#exports);
            this.#exports = await instance(this.#module); // at once, a browser makes none of so large a module
            this.#reopen(this.#exports);
            throw new Error(said ? `${FAULT}: ${said}` : FAULT, { cause: error });
        }
    }
}

/**
 * @param {WebAssembly.Module} module
 * @returns {Promise<Exports>}
 */
async function instance(module) {
    const { exports } = await WebAssembly.instantiate(module, {});
    return /** @type {Exports} */ (/** @type {unknown} */ (exports));
}

/**
 * Calls a function with what it takes, and gives its answer.
 * @param {Exports} exports
 * @param {"cbam_open_default" | "cbam_open_weights" | "cbam_describe" | "cbam_head" | "cbam_look"} name
 * @param {(Uint8Array | string)[]} given
 */
function call(exports, name, ...given) {
    const addresses = given.map((part) => put(exports, part));
    const status = /** @type {(...addresses: number[]) => number} */ (exports[name])(...addresses);
    const text = answer(exports);
    if (status !== 0) throw new Error(text);
    return text;
}

/**
 * What a panic said, if it was one.
 * @param {Exports} exports
 */
function lastWords(exports) {
    try {
        return answer(exports).replace(/\s+/g, " ");
    } catch {
        return ""; // the stack that it is told on had no end
    }
}

/**
 * Bytes or a text in the engine's memory: their address.
 * @param {Exports} exports
 * @param {Uint8Array | string} part
 */
function put(exports, part) {
    const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
    const address = exports.cbam_allocate(bytes.length) >>> 0;
    if (address === 0) throw new RangeError(`no memory for ${bytes.length} bytes`);
    new Uint8Array(exports.memory.buffer, address, bytes.length).set(bytes);
    return address;
}

/** @param {Exports} exports */
function answer(exports) {
    const length = exports.cbam_answer_length() >>> 0;
    return new TextDecoder().decode(new Uint8Array(exports.memory.buffer, exports.cbam_answer() >>> 0, length));
}
