// What the tests of live pages share: files that arrive in the page, and how far it is from cbam-run.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { until } from "./browser.mjs";
import { PHOTOS, apart, numbersOf } from "./programs.mjs";

export const NAMES = ["chelsea", "coffee", "astronaut"];
/** The maps that every picture of the bundled network has. */
export const MAPS = ["fused", "object", "gradcam", "spatial:stage5", "spatial:stage7", "patch", "patch:stage7", "rollout"];
/** How far a number may be from the program's, over the greatest of its kind. */
export const NEAR = 1e-4;

export const saysOf = (words) => `${words}.test(document.querySelector("#live-status").textContent)`;

export const shows = (tab, name) =>
    until(tab, `page.state()?.picture.name === ${JSON.stringify(name)} && !document.querySelector("#viewer").hidden`);

/** PNGs of photos, since decoders of JPEG differ by a level here and there; a broken one; and weights that are none. */
export function makePhotos(shop) {
    for (const name of NAMES) {
        shop.run("cbam-run", path.join(PHOTOS, `${name}.jpg`), "--overlay", shop.at(`${name}.png`), "--alpha", "0", "--map", "patch");
    }
    writeFileSync(shop.at("broken.png"), readFileSync(shop.at("coffee.png")).subarray(0, 60));
    writeFileSync(shop.at("broken.safetensors"), "no weights");
}

/** Has files arrive in the page as the browser brings them: by "drop" or by "paste". */
export async function bring(tab, how, ...files) {
    const given = files.map((file) => ({ name: path.basename(file), base64: readFileSync(file).toString("base64") }));
    await tab.evaluate(
        ([how, given]) => {
            const data = new DataTransfer();
            for (const { name, base64 } of given) {
                const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
                data.items.add(new File([bytes], name, { type: name.endsWith(".png") ? "image/png" : "" }));
            }
            const options = { bubbles: true, cancelable: true };
            if (how === "paste") return document.body.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
            for (const type of ["dragenter", "dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: data }));
            }
            return true;
        },
        [how, given],
    );
}

/** Types the name of a map into the box that adds maps, and waits until it is over the photo. */
export async function addMap(tab, name, patience) {
    await tab.locator("#add-map").fill(name);
    await tab.locator("#add-map").press("Enter");
    await until(tab, `page.map().name === ${JSON.stringify(name)}`, patience);
}

/** How far what the page shows is from what cbam-run says of a picture: probabilities and maps. */
export async function difference(shop, tab, name, opening = [], maps = MAPS) {
    const words = maps.flatMap((map) => ["--map", map]);
    shop.run("cbam-run", ...opening, `${name}.png`, ...words, "--json", "r.json", "--maps-dir", "maps");
    const [report] = JSON.parse(readFileSync(shop.at("r.json"), "utf8"));
    const { probabilities, values, size } = await tab.evaluate((maps) => {
        const { picture } = page.state();
        const values = maps.map((name) => [...page.viewer.map(name).values]);
        return { probabilities: [...picture.probabilities], values, size: picture.data.network_size };
    }, maps);
    assert.deepEqual(size, [report.network_size.width, report.network_size.height]);
    const top = report.top.map(({ probability }) => probability);
    const file = (map) => [name, ...(maps.length > 1 ? [map.replace("@", "-at-").replace(/[^\w.+-]+/g, "-")] : []), "npy"].join(".");
    const differences = maps.map((map, at) => apart(values[at], numbersOf(shop.at(`maps/${file(map)}`)).values));
    return Math.max(apart(report.top.map(({ class: id }) => probabilities[id]), top), ...differences);
}
