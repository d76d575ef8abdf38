// The live page's engine, for the tests: the page's own script, run here as its worker runs it.

import { readFileSync } from "node:fs";

/** The script. Nothing in it uses what stands elsewhere. */
export const SCRIPT = readFileSync(new URL("../../crates/cbam-core/web/live/engine.js", import.meta.url), "utf8");

const Engine = new Function(`${SCRIPT}; return Engine;`)();

/**
 * Makes an engine; no network is open as yet.
 * @param {BufferSource} bytes   of `cbam_web.wasm`
 */
export const startEngine = async (bytes) => Engine.start(await WebAssembly.compile(bytes));
