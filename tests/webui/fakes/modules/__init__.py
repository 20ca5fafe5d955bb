"""A stand-in of the WebUI's `modules`: the few names that the extension uses, doing as little as the tests need."""
