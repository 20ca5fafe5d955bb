"use strict";
// The toolbar's menu for the reference picture: where it comes from, and how strongly it is seen.

tiledDiffusion.PictureMenu = class PictureMenu extends tiledDiffusion.Widget {
    #picture;
    #notices;
    #opacity;

    /**
     * @param {Pick<EditorHost, "translate" | "pictures">} host @param {tiledDiffusion.ReferencePicture} picture
     * @param {Notices} notices
     */
    constructor(host, picture, notices) {
        super(host.translate);
        const {el} = tiledDiffusion.ui, {t} = this;
        this.#picture = picture;
        this.#notices = notices;
        this.input = el("input", {class: "td-reference-file", type: "file", accept: "image/*", hidden: true});
        this.#opacity = this.#slider();
        this.on(this.input, "change", () => {
            this.take(this.input.files?.[0]);
            this.input.value = "";
        });
        const {line} = tiledDiffusion.ToolMenu;
        this.menu = new tiledDiffusion.ToolMenu(t, "under", "A picture under the regions", [
            line(
                this.button(
                    t("file"), "Reference picture from a file (or drop or paste one)", () => this.input.click()),
                ...Object.entries(host.pictures).map(([name, url]) =>
                    this.button(t(name), "Use as the reference picture", () => this.#show(url())))),
            line(
                this.#opacity,
                this.button(tiledDiffusion.icons.icon("close"), "Remove the reference picture", () => picture.hide())),
        ]);
        this.include(this.menu);
    }

    /** Lays a picture below the regions; nothing where the file is none. @param {File | undefined} file */
    take(file) {
        if (file?.type.startsWith("image/")) this.#picture.showFile(file, this.#opacity.value);
    }

    /** @param {string | null} url */
    #show(url) {
        if (url) this.#picture.show(url, this.#opacity.value);
        else this.#notices.say(this.t("There is no such picture yet"));
    }

    #slider() {
        const title = this.t("Opacity of the reference picture");
        const range = {type: "range", min: "0", max: "1", step: "0.05"};
        const opacity = tiledDiffusion.ui.el("input", {...range, value: "0.6", title, "aria-label": title});
        this.on(opacity, "input", () => this.#picture.fade(opacity.value));
        return opacity;
    }
};
