// The pictures' data: in the page behind this script, or in files of their own.

/** What waits for a picture's file. @type {Map<number, (data: PictureData) => void>} */
const AWAITED = new Map();

/**
 * Files of pictures call this.
 * @param {number} index
 * @param {PictureData} data
 */
function cbamPicture(index, data) {
    AWAITED.get(index)?.(data);
    AWAITED.delete(index);
}

/**
 * @param {Head} head
 * @param {number} index
 * @returns {Promise<PictureData>}
 */
function pictureData({ split }, index) {
    return split === null ? dataInPage(index) : dataInFile(split, index);
}

/**
 * @param {string} folder
 * @param {number} index
 * @returns {Promise<PictureData>}
 */
function dataInFile(folder, index) {
    return new Promise((resolve, reject) => {
        const path = folder.split("/").map(encodeURIComponent).join("/");
        const script = make("script", { src: `${path}/${index}.js` });
        AWAITED.set(index, resolve);
        script.addEventListener("load", () => script.remove());
        script.addEventListener("error", () => {
            script.remove();
            reject(new Error(`${folder}/${index}.js cannot be read; the folder ${folder} belongs beside this page`));
        });
        document.head.append(script);
    });
}

/**
 * @param {number} index
 * @returns {Promise<PictureData>}
 */
async function dataInPage(index) {
    const { textContent } = await elementOnceWhole(`script.picture[data-index="${index}"]`);
    if (!textContent) throw new Error(`the page holds no picture ${index}; it may not be whole`);
    return JSON.parse(textContent);
}

/**
 * An element that holds data. The page may still be on its way: they stand behind this script, one after the other.
 * @param {string} selector
 * @returns {Promise<Element>}
 */
function elementOnceWhole(selector) {
    const element = () => document.querySelector(selector);
    // What has nothing behind it may not be whole.
    const isWhole = () => document.readyState !== "loading" || Boolean(element()?.nextSibling);
    return new Promise((resolve, reject) => {
        const look = () => {
            if (!isWhole()) return;
            observer.disconnect();
            document.removeEventListener("DOMContentLoaded", look);
            const found = element();
            if (found) resolve(found);
            else reject(new Error(`the page has no ${selector}; it may not be whole`));
        };
        const observer = new MutationObserver(look);
        observer.observe(document.body, { childList: true });
        document.addEventListener("DOMContentLoaded", look);
        look();
    });
}
