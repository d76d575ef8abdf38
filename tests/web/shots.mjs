// Pictures of the pages, to be looked at: node shots.mjs FOLDER [README_PICTURE]
// Every view at 1400, 800 and 390 pixels, in light and dark; the checklist is in docs/PAGE.md.

import { cpSync, mkdirSync } from "node:fs";
import path from "node:path";
import { SIZES, launch, open } from "./browser.mjs";
import { PHOTOS, workshop } from "./programs.mjs";

const [folder = "shots", readme] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const shop = workshop();
cpSync(PHOTOS, shop.at("photos"), { recursive: true });
shop.run("cbam-run", "photos/chelsea.jpg", "--html", "one.html");
shop.run("cbam-run", "photos", "--html", "many.html", "--quiet");
const browser = await launch();

/** The pointer over the cat's left eye. */
async function point(tab) {
    const box = await tab.locator("#photo").boundingBox();
    await tab.mouse.move(box.x + 0.39 * box.width, box.y + 0.4 * box.height);
    await tab.mouse.down();
    await tab.mouse.up();
    await tab.evaluate("page.settled()");
}

const VIEWS = {
    map: { file: "one.html", act: async () => {} },
    patch: {
        file: "one.html",
        act: async (tab) => {
            await tab.locator('input[name="mode"][value="looks"]').check({ force: true });
            await point(tab);
        },
    },
    compare: {
        file: "one.html",
        act: async (tab) => {
            await tab.locator('input[name="compare"][value="swipe"]').check({ force: true });
            await tab.locator("#other-select").selectOption("object");
            await tab.evaluate("page.settled()");
        },
    },
    class: {
        file: "one.html",
        act: async (tab) => {
            await tab.locator("#class-input").fill("tab");
            await tab.locator("#class-list [role=option]").first().waitFor();
        },
    },
    keys: { file: "one.html", act: (tab) => tab.locator("#help").click() },
    gallery: { file: "many.html", act: async () => {} },
};

for (const [name, { file, act }] of Object.entries(VIEWS)) {
    for (const [size, viewport] of Object.entries(SIZES)) {
        for (const colorScheme of ["light", "dark"]) {
            const { tab, context } = await open(browser, shop.at(file), { viewport, colorScheme });
            await tab.evaluate("page.ready");
            await act(tab);
            await tab.waitForTimeout(200);
            const whole = size !== "desk" && name !== "keys" && name !== "class";
            await tab.screenshot({ path: path.join(folder, `${name}-${viewport.width}-${colorScheme}.png`), fullPage: whole });
            await context.close();
        }
    }
}
if (readme) {
    const viewport = { width: 1400, height: 940 };
    const { tab } = await open(browser, shop.at("one.html"), { viewport, colorScheme: "light" });
    await tab.evaluate("page.ready");
    await VIEWS.patch.act(tab);
    await tab.waitForTimeout(200);
    await tab.screenshot({ path: readme, type: "jpeg", quality: 82 });
}
await browser.close();
