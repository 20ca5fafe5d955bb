"""The demo: pictures that show what the project does."""
