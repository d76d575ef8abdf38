// The engine, as the page asks it: in a worker, so that the page answers while the network is at work.

/** A program that is valid only where WebAssembly has vectors (SIMD). */
const WITH_VECTORS = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
];

/** What this browser lacks; an empty text if it has all. */
function wordsOfLack() {
    if (typeof WebAssembly !== "object") return "WebAssembly, which is off here or not there";
    if (!WebAssembly.validate(new Uint8Array(WITH_VECTORS))) return "WebAssembly with SIMD";
    return typeof Worker === "function" ? "" : "workers";
}

/**
 * Starts the engine, and opens the bundled network.
 * @param {string | null} address   of the engine; null: it is in the page
 * @param {HeadOptions} options
 * @param {(part: number | null, size: number | null) => void} progress   how much of so many bytes is there
 * @returns {Promise<EngineClient>}
 */
async function startEngine(address, options, progress) {
    const lack = wordsOfLack();
    if (lack) {
        const have = "Chrome 91, Firefox 89, Safari 16.4 and those after them have it";
        throw new Error(`this page runs the network in the browser, and this one lacks ${lack}. ${have}`);
    }
    const { ask } = startWorker();
    /** @type {EngineSource} */
    const source = address === null ? await sourceInPage(progress) : { module: await moduleAt(address, progress) };
    /** @type {Opened & { module: WebAssembly.Module }} */
    const { module, ...first } = await ask("start", [], source, options);
    /** What opens the network that is open. */
    let last = { weights: /** @type {NamedFile | null} */ (null), options };
    return {
        first,
        photos: [],
        async open(weights, options) {
            const opened = await openBy(ask, weights, options);
            last = { weights, options };
            return opened;
        },
        look: (photo, options, signal) => (signal ? lookAside(module, last, photo, options, signal) : lookBy(ask, photo, options)),
        meanwhile: "all else goes on meanwhile",
        warmUp: () => lookBy(ask, exampleInPage(), { short_side: 64, detail: "whole" }),
    };
}

/** @typedef {(question: string, moved: Transferable[], ...given: unknown[]) => Promise<any>} Ask */

/**
 * @param {Ask} ask
 * @param {NamedFile | null} weights
 * @param {HeadOptions} options
 * @returns {Promise<Opened>}
 */
async function openBy(ask, weights, options) {
    if (!weights) return ask("openDefault", [], options);
    const bytes = await bytesOfFile(weights.file);
    return ask("openWeights", [bytes.buffer], bytes, weights.name, options);
}

/**
 * @param {Ask} ask
 * @param {NamedPhoto} photo
 * @param {LookOptions} options
 * @returns {Promise<Seen>}
 */
async function lookBy(ask, { name, file }, options) {
    if (!(file instanceof Blob)) throw new Error(`${name}: no program serves this page`);
    const bytes = await bytesOfFile(file);
    return ask("look", [bytes.buffer], bytes, name, options);
}

/**
 * Looks in a worker of its own, which is gone then.
 * @param {WebAssembly.Module} module
 * @param {{ weights: NamedFile | null, options: HeadOptions }} network
 * @param {NamedPhoto} photo
 * @param {LookOptions} options
 * @param {AbortSignal} signal
 */
async function lookAside(module, { weights, options: headOptions }, photo, options, signal) {
    const { ask, end } = startWorker();
    const stop = () => end(signal.reason);
    signal.addEventListener("abort", stop);
    try {
        signal.throwIfAborted();
        await ask("start", [], { module }, headOptions);
        if (weights) await openBy(ask, weights, headOptions);
        return await lookBy(ask, photo, options);
    } finally {
        signal.removeEventListener("abort", stop);
        end(new Error("the worker was ended"));
    }
}

/** A worker that answers questions. */
function startWorker() {
    const address = URL.createObjectURL(new Blob([sourceOfWorker()], { type: "text/javascript" }));
    const worker = new Worker(address);
    /** @type {Map<number, { resolve: (answer: any) => void, reject: (error: unknown) => void }>} */
    const asked = new Map();
    let count = 0;
    /** Why nothing more is asked. @type {{ reason: unknown } | null} */
    let ended = null;
    const rejectAll = (/** @type {unknown} */ reason) => {
        for (const { reject } of asked.values()) reject(reason);
        asked.clear();
    };
    worker.addEventListener("message", ({ data: { id, answer, error } }) => {
        const waiting = asked.get(id);
        asked.delete(id);
        if (error === undefined) waiting?.resolve(answer);
        else waiting?.reject(new Error(error));
    });
    worker.addEventListener("error", ({ message }) => rejectAll(new Error(message || "the browser allows this page no worker")));
    /** @type {Ask} */
    const ask = (question, moved, ...given) =>
        new Promise((resolve, reject) => {
            if (ended) return reject(ended.reason);
            asked.set(++count, { resolve, reject });
            return worker.postMessage({ id: count, question, given }, moved);
        });
    const end = (/** @type {unknown} */ reason) => {
        ended ??= { reason };
        worker.terminate();
        URL.revokeObjectURL(address);
        rejectAll(reason);
    };
    return { ask, end };
}

/**
 * The engine that stands in the page; the page needs it no more.
 * @param {(part: number | null, size: number | null) => void} progress
 * @returns {Promise<EngineSource>}
 */
async function sourceInPage(progress) {
    await pageRead();
    const element = byId("engine", HTMLElement);
    const text = element.textContent?.trim() ?? "";
    element.remove();
    progress(null, Math.round(0.75 * text.length));
    return { text };
}

/** Settles when all of the page is there. */
async function pageRead() {
    if (document.readyState !== "loading") return;
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
}

/**
 * The engine beside the page, compiled as it comes.
 * @param {string} address
 * @param {(part: number | null, size: number | null) => void} progress
 */
async function moduleAt(address, progress) {
    const failed = (/** @type {string} */ why) =>
        new Error(`${address} cannot be read: ${why}. It belongs beside this page, on a host; cbam-live.html has it within`);
    const response = await fetch(address).catch((error) => {
        throw failed(wordsOfError(error));
    });
    if (!response.ok || !response.body) throw failed(`${response.status} ${response.statusText}`);
    // Of what is zipped on its way the length says nothing.
    const length = response.headers.get("Content-Encoding") ? 0 : Number(response.headers.get("Content-Length"));
    let come = 0;
    const count = new TransformStream({
        transform(/** @type {Uint8Array<ArrayBuffer>} */ bytes, controller) {
            come += bytes.length;
            progress(length ? come / length : null, length || null);
            controller.enqueue(bytes);
        },
    });
    const counted = response.body.pipeThrough(count);
    return WebAssembly.compileStreaming(new Response(counted, { headers: { "Content-Type": "application/wasm" } }));
}
