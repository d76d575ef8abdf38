// The network in the program that serves this page (cbam-view). All addresses are relative to the page's own, so nothing else is asked.

/** @returns {Promise<EngineClient>} */
async function startServed() {
    /** @type {Opened & { photos: string[] }} */
    const { about, head, photos } = await askProgram("network");
    return {
        first: { about, head },
        photos,
        open: null,
        async look({ name, file }, options, signal) {
            const isFile = file instanceof Blob;
            const what = isFile ? `name=${encodeURIComponent(name)}` : `photo=${file}`;
            const address = `look?${what}&options=${encodeURIComponent(JSON.stringify(options))}`;
            try {
                return await askProgram(address, { method: "POST", body: isFile ? file : null, signal });
            } catch (error) {
                // A file that cannot be read fails as a program does that is gone.
                if (isFile && error instanceof NoAnswer) await bytesOfFile(file.slice(0, 1));
                throw error;
            }
        },
        meanwhile: "other photos and maps wait for it",
        warmUp: null,
    };
}

/** That the program says nothing. */
class NoAnswer extends Error {}

/**
 * @param {string} address
 * @param {RequestInit} [request]
 * @returns {Promise<any>}
 */
async function askProgram(address, request = {}) {
    try {
        const response = await fetch(address, { cache: "no-store", redirect: "error", ...request });
        if (response.ok) return await response.json();
        const said = (await response.text()).trim();
        throw new Error(said || `cbam-view answers ${response.status} ${response.statusText}`);
    } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        throw new NoAnswer("cbam-view does not answer: it was ended, perhaps", { cause: error });
    }
}
