// The program cbam-view: it answers its own page alone, takes no more than it has room for, and ends when it is interrupted.

import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { makePhotos, shows } from "./live.mjs";
import { workshop } from "./programs.mjs";
import { PATIENCE, ask, assertEnds, look, serving as servingOf } from "./view.mjs";

const shop = workshop();
before(() => makePhotos(shop));

/** The program at work. */
const serving = (...words) => servingOf(shop, ...words);

/** That the program is well: it still looks at a photo. */
async function assertWell(program) {
    const { status, text } = await look(program, "photo=0&options={}");
    assert.equal(status, 200, text);
    assert.equal(JSON.parse(text).index.name, "chelsea.png");
}

describe("the program", () => {
    /** @type {Awaited<ReturnType<typeof serving>>} */
    let program;
    before(async () => {
        program = await serving("chelsea.png");
    });
    after(() => assertEnds(program));

    test("tells the page what there is", async () => {
        const { status, text } = await ask(program, { path: "network" });
        assert.equal(status, 200);
        const { about, head, photos } = JSON.parse(text);
        assert.deepEqual(photos, ["chelsea.png"]);
        assert.deepEqual(head.command, ["cbam-run"]);
        assert.ok(about.choices.includes("scorecam:stage5") && about.maps.includes("fused"));
        await assertWell(program);
    });

    test("answers its own page alone", async () => {
        const { port } = new URL(program.address);
        for (const host of ["example.org", `example.org:${port}`, `127.0.0.1.example.org:${port}`]) {
            for (const where of ["", "network"]) {
                const { status, text } = await ask(program, { path: where, headers: { Host: host } });
                assert.ok([400, 403, 421].includes(status), `${host}: ${status}`);
                assert.doesNotMatch(text, /<script|cbam-page/);
            }
        }
        const { pathname } = new URL(program.address);
        const foreign = `/${"0".repeat(pathname.length - 2)}/`;
        for (const where of ["/", foreign, `${foreign}network`, "/network", pathname.slice(0, -2), "/favicon.ico"]) {
            const { status, text } = await ask(program, { path: where });
            assert.ok([403, 404].includes(status), `${where}: ${status}`);
            assert.doesNotMatch(text, /<script|cbam-page/);
        }
        for (const where of ["../../etc/passwd", "..%2f..%2fetc/passwd", "%2e%2e/%2e%2e/etc/passwd", "engine.wasm", "look/"]) {
            assert.equal((await ask(program, { path: where })).status, 404, where);
        }
        await assertWell(program);
    });

    test("takes no photo from another page", async () => {
        for (const origin of ["http://example.org", "null", "http://127.0.0.1:1", null]) {
            const { status, text } = await look(program, "photo=0&options={}", { headers: { Origin: origin } });
            assert.equal(status, 403, `${origin}: ${text}`);
        }
        await assertWell(program);
    });

    test("says what is wrong with what it is asked", async () => {
        const { status, text } = await look(program, "name=notes.txt&options={}", { body: "no photo" });
        assert.ok(status >= 400 && status < 500, `${status}`);
        assert.match(text, /^notes\.txt: /);
        for (const [query, message] of [
            ["photo=99&options={}", /99|photo/],
            ["photo=-1&options={}", /photo/],
            ["photo=x&options={}", /photo/],
            ["options={}", /name|photo/],
            ["photo=0&options=%7B", /options/],
            ["photo=0&options=%7B%22size%22%3A3%7D", /size/],
            [`photo=0&options=${encodeURIComponent('{"maps":["nonsense"]}')}`, /nonsense/],
        ]) {
            const answer = await look(program, query);
            assert.ok(answer.status >= 400 && answer.status < 500, `${query}: ${answer.status}`);
            assert.match(answer.text, message, query);
            assert.match(answer.headers["content-type"], /^text\/plain/, query);
        }
        await assertWell(program);
    });

    test("takes no more than there is room for", async () => {
        const { hostname, port, pathname, host, origin } = new URL(program.address);
        const head = `POST ${pathname}look?name=a.png&options={} HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\n`;
        /** Sends a head and then parts of a body until the program says something or cuts it off: how much it took, and what it said. */
        const send = (/** @type {string} */ more, /** @type {Buffer | null} */ part) =>
            new Promise((resolve) => {
                let [said, sent] = ["", 0];
                const socket = net.connect(Number(port), hostname, () => socket.write(`${head}${more}\r\n\r\n`));
                const end = () => resolve({ said, sent });
                socket.setEncoding("utf8");
                socket.on("data", (text) => (said += text));
                socket.on("error", end);
                socket.on("close", end);
                const go = () => {
                    if (said || socket.destroyed || sent > 8e9) return socket.destroy();
                    sent += part.length;
                    return socket.write(part, go);
                };
                if (part) socket.once("connect", go);
                socket.setTimeout(PATIENCE, () => socket.destroy());
            });
        const large = await send("Content-Length: 10000000000", null);
        assert.match(large.said, /^HTTP\/1\.1 413 /);
        const body = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(1 << 20), Buffer.from("\r\n")]);
        const endless = await send("Transfer-Encoding: chunked", body);
        assert.ok(endless.sent < 4e9, `${endless.sent} bytes were taken`);
        assert.ok(!endless.said || /^HTTP\/1\.1 4(11|13) /.test(endless.said), endless.said);
        await assertWell(program);
    });

    test("is well after an upload that breaks off", async () => {
        const { hostname, port, pathname, host, origin } = new URL(program.address);
        const head = `POST ${pathname}look?name=a.png&options={} HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\n`;
        for (const more of ["Content-Length: 1000000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Content-Le"]) {
            await new Promise((resolve) => {
                const socket = net.connect(Number(port), hostname, () => socket.write(head + more, () => socket.destroy()));
                socket.on("close", resolve);
            });
        }
        await assertWell(program);
    });
});

describe("the program ends when it is interrupted", () => {
    test("while nothing is asked", async () => assertEnds(await serving()));

    test("while a browser holds connections open", async () => {
        const program = await serving("chelsea.png");
        const browser = await launch();
        const { tab } = await open(browser, program.address);
        await shows(tab, "chelsea.png");
        const { hostname, port } = new URL(program.address);
        const sockets = Array.from({ length: 20 }, () => net.connect(Number(port), hostname).on("error", () => {}));
        await new Promise((resolve) => sockets[19].once("connect", resolve));
        await assertEnds(program);
        sockets.forEach((socket) => socket.destroy());
        await browser.close();
    });

    test("while it makes a map that takes long", async () => {
        const program = await serving("chelsea.png");
        const options = encodeURIComponent(JSON.stringify({ detail: "whole", maps: ["scorecam"] }));
        const asked = look(program, `photo=0&options=${options}`).catch(() => null);
        await new Promise((resolve) => setTimeout(resolve, 700));
        await assertEnds(program);
        await asked;
    });
});
