// What the WebUI gives to the scripts of extensions.
declare function gradioApp(): Document | ShadowRoot;
declare function updateInput(target: Element): void;
declare function onUiLoaded(callback: () => void): void;
interface Window {
    /** Translated texts of the page. */
    localization?: Record<string, string>;
    /** Of the tag-autocomplete extension. */
    addAutocompleteToArea?(area: HTMLTextAreaElement): void;
}
