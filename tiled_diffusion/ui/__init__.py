"""The panel, for the WebUI and the studio."""
