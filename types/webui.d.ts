// What the WebUI gives to the scripts of extensions.
declare function gradioApp(): Document | ShadowRoot;
declare function updateInput(target: Element): void;
declare function onUiLoaded(callback: () => void): void;
