"""The ControlNet extension of the WebUI, cropped to tiles."""
