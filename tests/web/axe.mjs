// axe-core, run in a page past its Content-Security-Policy.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The impacts that fail a test. */
export const SERIOUS = ["serious", "critical"];

/**
 * What axe-core finds in a page.
 * @param {import("playwright-core").Page} tab
 * @returns {Promise<{ violations: { id: string, impact: string, nodes: { target: string[] }[] }[] }>}
 */
export async function faultsOf(tab) {
    return tab.evaluate(`${SOURCE}; axe.run(document, { resultTypes: ["violations"] })`);
}
