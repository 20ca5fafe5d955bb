"use strict";
// Pictures as regions: from a file or from the page to data that a document may hold, and into a region.

tiledDiffusion.RegionPictures = class RegionPictures extends tiledDiffusion.Widget {
    /** Kinds of files that a document may hold as they are; others are written anew. */
    static #KINDS = ["image/png", "image/jpeg", "image/webp"];
    /** Bytes of a picture in a document: two thirds of its text's length. */
    static #MOST_BYTES = (tiledDiffusion.table.region.picture.most ?? 0) * 2 / 3;
    /** The longer side of one that is written anew, in pixels, and its quality. */
    static #MOST_PX = 1536;
    static #QUALITY = 0.92;
    /** A new region's share of the canvas on its longer side. */
    static #SHARE = 0.6;
    #store;
    #host;
    #notices;

    /**
     * @param {RegionStore} store @param {Pick<EditorHost, "translate" | "pictures" | "size">} host
     * @param {Notices} notices
     */
    constructor(store, host, notices) {
        super(host.translate);
        const {t} = this;
        this.#store = store;
        this.#host = host;
        this.#notices = notices;
        this.input = tiledDiffusion.ui.el("input", {type: "file", accept: "image/*", hidden: true});
        this.on(this.input, "change", () => {
            this.add(this.input.files?.[0]);
            this.input.value = "";
        });
        this.nodes = [
            this.button(tiledDiffusion.icons.icon("addPicture"), "Add a picture as a region", () => this.input.click()),
            ...Object.entries(host.pictures).map(([name, url]) =>
                this.button(`+ ${t(name)}`, "Add this picture as a region", () => this.#addFrom(url()))),
        ];
    }

    /**
     * Adds a region with a picture in the middle of the canvas, of the picture's shape.
     * @param {File | Blob | undefined} file
     */
    add(file) {
        if (!file?.type.startsWith("image/")) return;
        this.#notices.told(async () => {
            const {data, width, height} = await RegionPictures.#read(file);
            const box = this.#box(width / height);
            this.#store.dispatch({type: "add", regions: [{prompt: "", picture: data, feather: 0, ...box}]});
        });
    }

    /** Puts a picture into the selected region, where that has one. Whether it has. @param {File | undefined} file */
    replace(file) {
        const region = this.#store.single;
        if (!region || region.picture === null || region.locked || !file?.type.startsWith("image/")) return false;
        this.#notices.told(async () => {
            const {data} = await RegionPictures.#read(file), fields = {picture: data, picture_sha256: null};
            this.#store.dispatch({type: "edit", ids: [region.id], fields});
        });
        return true;
    }

    /** @param {string | null} url */
    #addFrom(url) {
        if (!url) this.#notices.say(this.t("There is no such picture yet"));
        else this.#notices.told(async () => this.add(await (await fetch(url)).blob()));
    }

    /** @param {number} ratio width / height of the picture */
    #box(ratio) {
        const size = this.#host.size(), wide = ratio * size.height / size.width, share = RegionPictures.#SHARE;
        const [w, h] = wide > 1 ? [share, share / wide] : [share * wide, share];
        return {x: (1 - w) / 2, y: (1 - h) / 2, w, h};
    }

    /** A file as data of a size that documents may hold, upright. @param {Blob} file */
    static async #read(file) {
        const image = await createImageBitmap(file), {width, height} = image;
        const fits = RegionPictures.#KINDS.includes(file.type) && file.size <= RegionPictures.#MOST_BYTES;
        const data = fits ? await RegionPictures.#text(file) : RegionPictures.#shrunk(image);
        image.close();
        return {data, width, height};
    }

    /** @param {Blob} file @returns {Promise<string>} */
    static #text(file) {
        return new Promise((resolve, reject) => {
            const reader = new FileReader();
            reader.onload = () => resolve(String(reader.result));
            reader.onerror = () => reject(reader.error);
            reader.readAsDataURL(file);
        });
    }

    /** @param {ImageBitmap} image */
    static #shrunk(image) {
        let scale = Math.min(1, RegionPictures.#MOST_PX / Math.max(image.width, image.height));
        for (;;) {
            const ink = tiledDiffusion.paint.layer(
                Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
            ink.drawImage(image, 0, 0, ink.canvas.width, ink.canvas.height);
            const data = ink.canvas.toDataURL("image/webp", RegionPictures.#QUALITY);
            if (data.length * 3 / 4 <= RegionPictures.#MOST_BYTES) return data;
            scale *= 0.75;
        }
    }
};
