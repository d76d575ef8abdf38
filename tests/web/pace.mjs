// How large the engine is, and how long it takes in Node and in Chromium: node pace.mjs [cbam_web.wasm [photo.jpg]], on one core with
// taskset -c 1 before it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { launch } from "./browser.mjs";
import { SCRIPT, startEngine } from "./engine.mjs";

const ROOT = join(import.meta.dirname, "../..");
const [
    wasm = join(ROOT, "target/wasm/wasm32-unknown-unknown/release/cbam_web.wasm"),
    photo = join(ROOT, "assets/images/coffee.jpg"),
] = process.argv.slice(2);

/**
 * Milliseconds of each step; of looks the median of 31, after 15 in which the browser finds out what is worth compiling well.
 * @param {(bytes: BufferSource) => Promise<any>} start
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {Uint8Array} picture
 */
async function paces(start, bytes, picture) {
    /** @type {Record<string, unknown>} */
    const steps = {};
    const timed = async (/** @type {() => Promise<any>} */ step) => {
        const begun = performance.now();
        const made = await step();
        return { made, took: Math.round(10 * (performance.now() - begun)) / 10 };
    };
    const { made: engine, took } = await timed(() => start(bytes));
    steps.start = took;
    steps.open = (await timed(() => engine.openDefault())).took;
    const first = await timed(() => engine.look(picture, "a.jpg", {}));
    steps["first look"] = first.took;
    steps.size = first.made.picture.network_size.join("x");
    for (const detail of ["whole", "means"]) {
        const looks = [];
        for (let look = 0; look < 46; look++) looks.push((await timed(() => engine.look(picture, "a.jpg", { detail }))).took);
        steps[detail] = looks.slice(15).sort((a, b) => a - b)[15];
    }
    return steps;
}

const [bytes, picture] = [readFileSync(wasm), readFileSync(photo)].map((file) => Uint8Array.from(file));
const packed = gzipSync(bytes, { level: 9 }).length;
console.log("bytes", { wasm: bytes.length, gzip: packed, "gzip in Base64": 4 * Math.ceil(packed / 3) });
console.log("node", process.version, await paces(startEngine, bytes, picture));

const browser = await launch();
const tab = await browser.newPage();
const texts = [bytes, picture].map((file) => Buffer.from(file).toString("base64"));
const steps = await tab.evaluate(async ({ script, texts: [bytes, picture], paces }) => {
    const Engine = new Function(`${script}; return Engine;`)();
    const start = async (/** @type {BufferSource} */ bytes) => Engine.start(await WebAssembly.compile(bytes));
    const plain = (/** @type {string} */ text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Function(`return ${paces}`)()(start, plain(bytes), plain(picture));
}, { script: SCRIPT, texts, paces: paces.toString() });
console.log("chromium", browser.version(), steps);
await browser.close();
