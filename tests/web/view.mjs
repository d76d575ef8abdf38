// cbam-view at work, for the tests: started, asked and interrupted.

import assert from "node:assert/strict";
import http from "node:http";

/** How long to wait, in milliseconds, for what does not wait for a map that is being made, nor for connections that are open. */
export const PATIENCE = 15_000;

/**
 * The program at work: the address of its page, and how it ends.
 * @param {ReturnType<typeof import("./programs.mjs").workshop>} shop
 * @param {...string} words
 */
export async function serving(shop, ...words) {
    const child = shop.started("cbam-view", "--no-browser", "--port", "0", ...words);
    process.on("exit", () => child.kill("SIGKILL"));
    let [said, complaints] = ["", ""];
    child.stderr.on("data", (part) => (complaints += part));
    const ended = new Promise((resolve) => child.on("exit", (status, signal) => resolve(status ?? signal)));
    /** @type {string} */
    const address = await new Promise((resolve, reject) => {
        child.stdout.on("data", (part) => {
            said += part;
            if (/^cbam-view: http:\/\/127\.0\.0\.1:\d+\/[\w-]+\/\n$/.test(said)) resolve(said.slice(11).trim());
        });
        ended.then((status) => reject(new Error(`cbam-view ended with ${status}: ${said}${complaints}`)));
    });
    /** Interrupts it; with what it ended. */
    const interrupt = async () => {
        child.kill("SIGINT");
        const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
        const status = await ended;
        clearTimeout(late);
        return status;
    };
    return { address, interrupt };
}

/** That an interrupted program ends well, whatever it is doing. */
export async function assertEnds({ interrupt }) {
    assert.equal(await interrupt(), 0);
}

/**
 * Asks without a browser, so that everything can be wrong.
 * @param {{ address: string }} program
 * @param {http.RequestOptions & { body?: string | Buffer }} options   `path` is relative to the page's own address, unless it begins with a
 *   slash; headers that are null are left out
 */
export function ask({ address }, { path = "", headers = {}, body = "", ...options }) {
    const { hostname, port, pathname, origin } = new URL(address);
    const usual = options.method === "POST" ? { Origin: origin, "Content-Length": Buffer.byteLength(body) } : {};
    const given = Object.entries({ ...usual, ...headers }).filter(([, value]) => value !== null);
    return new Promise((resolve, reject) => {
        const where = path.startsWith("/") ? path : pathname + path;
        const request = http.request({ hostname, port, agent: false, ...options, path: where, headers: Object.fromEntries(given) });
        request.on("error", reject);
        request.on("response", async (response) => {
            let text = "";
            for await (const part of response.setEncoding("utf8")) text += part;
            resolve({ status: response.statusCode, text, headers: response.headers });
        });
        request.end(body);
    });
}

/** Asks what is seen in a photo. */
export const look = (program, query, more = {}) => ask(program, { method: "POST", path: `look?${query}`, ...more });
