// axe-core, run in a page past its Content-Security-Policy.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { SIZES } from "./browser.mjs";

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

/**
 * That nobody is left out of a page, in light and dark, on a desk and on a phone: nothing serious is found, and nothing is cut off.
 * @param {(options: object) => Promise<{ tab: import("playwright-core").Page, context: import("playwright-core").BrowserContext, clean: () => void }>} opened
 */
export async function assertForAll(opened) {
    for (const viewport of Object.values(SIZES)) {
        for (const colorScheme of ["light", "dark"]) {
            const { tab, context, clean } = await opened({ viewport, colorScheme });
            const { violations } = await faultsOf(tab);
            const serious = violations.filter(({ impact }) => SERIOUS.includes(impact));
            const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
            assert.deepEqual(found, [], `${viewport.width} ${colorScheme}`);
            const wide = await tab.evaluate("document.documentElement.scrollWidth > innerWidth");
            assert.ok(!wide, `nothing is cut off at ${viewport.width}`);
            clean();
            await context.close();
        }
    }
}
