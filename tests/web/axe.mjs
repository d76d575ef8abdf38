// axe-core, run in a page past its Content-Security-Policy.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { SIZES } from "./browser.mjs";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The impacts that fail a test. */
const SERIOUS = ["serious", "critical"];

/**
 * That axe-core finds nothing serious in a page as it is now, and that nothing is cut off.
 * @param {import("playwright-core").Page} tab
 * @param {string} state   what the page shows
 */
export async function assertOpenToAll(tab, state) {
    /** @type {{ violations: { id: string, impact: string, nodes: { target: string[] }[] }[] }} */
    const { violations } = await tab.evaluate(`${SOURCE}; axe.run(document, { resultTypes: ["violations"] })`);
    const serious = violations.filter(({ impact }) => SERIOUS.includes(impact));
    const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
    assert.deepEqual(found, [], state);
    const over = await tab.evaluate("document.documentElement.scrollWidth - innerWidth");
    assert.ok(over <= 0, `${state}: ${over} pixels too wide`);
}

/**
 * That nobody is left out of a page, in light and dark, on a desk and on a phone: nothing serious is found, and nothing is cut off.
 * @param {(options: object) => Promise<{ tab: import("playwright-core").Page, context: import("playwright-core").BrowserContext, clean: () => void }>} opened
 */
export async function assertForAll(opened) {
    for (const viewport of Object.values(SIZES)) {
        for (const colorScheme of ["light", "dark"]) {
            const { tab, context, clean } = await opened({ viewport, colorScheme, reducedMotion: "reduce" }); // colours on their way are none
            await assertOpenToAll(tab, `${viewport.width} ${colorScheme}`);
            clean();
            await context.close();
        }
    }
}
