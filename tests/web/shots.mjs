// Pictures of the pages, to be looked at: node shots.mjs FOLDER [README_PICTURE]
// Every view at 1400, 800 and 390 pixels, in light and dark; the checklist is in docs/PAGE.md. ONLY=live,report names the views that
// begin so.

import { cpSync, mkdirSync } from "node:fs";
import path from "node:path";
import { SIZES, launch, open, serve, until } from "./browser.mjs";
import { addMap, saysOf, shows } from "./live.mjs";
import { LIVE, PHOTOS, workshop } from "./programs.mjs";
import { serving } from "./view.mjs";

const [folder = "shots", readme] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const shop = workshop();
cpSync(PHOTOS, shop.at("photos"), { recursive: true });
shop.run("cbam-run", "photos/chelsea.jpg", "--html", "one.html");
shop.run("cbam-run", "photos", "--html", "many.html", "--quiet");
const measures = ["--maps", "fused,object,gradcam,spatial", "--measure", "faithfulness", "--steps", "8", "--quiet"];
shop.run("cbam-eval", "--images", "photos", "--truth", "photos/truth.csv", "--report", "report", ...measures);
const browser = await launch();
const host = await serve(LIVE);
const programs = {
    empty: await serving(shop),
    one: await serving(shop, "photos/coffee.jpg"),
    many: await serving(shop, "photos"),
};

/** The pointer over the cat's left eye. */
async function point(tab) {
    const box = await tab.locator("#photo").boundingBox();
    await tab.mouse.move(box.x + 0.39 * box.width, box.y + 0.4 * box.height);
    await tab.mouse.down();
    await tab.mouse.up();
    await tab.evaluate("page.settled()");
}

const photos = (...names) => names.map((name) => path.join(PHOTOS, name));

/** Photos in the live page, and a map that was added to the first. */
async function withPhoto(tab) {
    await tab.locator("#photo-files").setInputFiles(photos("coffee.jpg"));
    await shows(tab, "coffee.jpg");
    await addMap(tab, "layercam");
}

/** A card of a live page under the pointer. */
async function onCard(tab) {
    await tab.locator(".card").first().hover();
}

const gallery = (tab) => tab.locator("#pictures").scrollIntoViewIfNeeded();

const nothing = async () => {};

/**
 * What is opened, what is done there, and whether the whole page is wanted of narrow ones.
 * @type {Record<string, { at: string, hash?: string, act: (tab: any) => Promise<unknown>, whole?: boolean }>}
 */
const VIEWS = {
    map: { at: shop.at("one.html"), act: nothing },
    patch: {
        at: shop.at("one.html"),
        act: async (tab) => {
            await tab.locator('input[name="mode"][value="looks"]').check({ force: true });
            await point(tab);
        },
    },
    compare: {
        at: shop.at("one.html"),
        act: async (tab) => {
            await tab.locator('input[name="compare"][value="swipe"]').check({ force: true });
            await tab.locator("#other-select").selectOption("object");
            await tab.evaluate("page.settled()");
        },
    },
    class: {
        at: shop.at("one.html"),
        act: async (tab) => {
            await tab.locator("#class-input").fill("tab");
            await tab.locator("#class-list [role=option]").first().waitFor();
        },
        whole: false,
    },
    keys: { at: shop.at("one.html"), act: (tab) => tab.locator("#help").click(), whole: false },
    gallery: { at: shop.at("many.html"), act: nothing },
    "live-empty": { at: host.address, act: nothing, whole: false },
    "live-photo": { at: host.address, act: withPhoto },
    "live-add": {
        at: host.address,
        act: async (tab) => {
            await withPhoto(tab);
            await tab.locator("#add-map").fill("cam");
            await tab.locator("#add-map-list [role=option]").first().waitFor();
        },
        whole: false,
    },
    "live-long": {
        at: host.address,
        act: async (tab) => {
            await withPhoto(tab);
            await tab.locator("#add-map").fill("rise");
            await tab.locator("#add-map").press("Enter");
            await until(tab, saysOf("/^Making rise/"));
        },
        whole: false,
    },
    "live-gallery": {
        at: host.address,
        act: async (tab) => {
            await tab.locator("#photo-files").setInputFiles(photos("chelsea.jpg", "coffee.jpg", "rocket.jpg", "truth.csv"));
            await until(tab, saysOf("/3 of 4 pictures looked at/"));
            await onCard(tab);
        },
    },
    "view-empty": { at: programs.empty.address, act: nothing, whole: false },
    "view-photo": { at: programs.one.address, act: (tab) => shows(tab, "photos/coffee.jpg") },
    "view-gallery": {
        at: programs.many.address,
        act: async (tab) => {
            await until(tab, saysOf("/pictures looked at/"));
            await onCard(tab);
        },
    },
    report: { at: shop.at("report/report.html"), act: nothing },
    "report-gallery": { at: shop.at("report/report.html"), act: gallery, whole: false },
    "report-picture": {
        at: shop.at("report/report.html"),
        hash: "#1",
        act: async (tab) => {
            await tab.locator("#contour-on").check();
            await tab.evaluate("scrollTo(0, 0)");
            await tab.evaluate("page.settled()");
        },
    },
};

/** A phone is touched. */
const FINGERS = { phone: { hasTouch: true, isMobile: true } };

const only = process.env.ONLY?.split(",") ?? [""];
for (const [name, { at, hash, act, whole = true }] of Object.entries(VIEWS)) {
    if (!only.some((word) => name.startsWith(word))) continue;
    for (const [size, viewport] of Object.entries(SIZES)) {
        for (const colorScheme of ["light", "dark"]) {
            const { tab, context } = await open(browser, at, { viewport, colorScheme, hash, ...FINGERS[size] });
            await tab.evaluate("page.ready");
            await act(tab);
            await tab.waitForTimeout(200);
            const fullPage = whole && size !== "desk";
            await tab.screenshot({ path: path.join(folder, `${name}-${viewport.width}-${colorScheme}.png`), fullPage });
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
host.close();
for (const { interrupt } of Object.values(programs)) await interrupt();
