"""The WebUIs: one file each."""
