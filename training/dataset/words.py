"""The words of the captions."""

from __future__ import annotations

from training.dataset.colours import COLOURS

SKY_WORDS = {
    "day": ["blue sky", "a blue sky", "a clear blue sky", "bright day", "sunny day", "daytime"],
    "sunset": ["sunset", "sunset sky", "a sunset", "orange sunset", "at sunset", "evening sky"],
    "night": ["night", "at night", "starry night", "night sky", "dark night sky with stars", "stars"],
    "storm": ["storm", "stormy sky", "a stormy sky", "grey storm clouds", "dark clouds"],
    "dawn": ["pink sky", "a pink sky", "dawn", "at dawn", "soft pink morning sky"],
}
GROUND_WORDS = {
    "grass": ["grass", "green grass", "a green meadow", "a meadow", "green hills", "a grassy field"],
    "sand": ["sand", "the sand", "the desert", "a desert", "sand dunes", "a sandy desert"],
    "snow": ["snow", "the snow", "white snow", "a snowy field", "winter snow"],
    "sea": ["the sea", "sea", "the ocean", "blue water", "the water", "calm sea"],
    "city": ["a city", "city", "a city street", "city skyline", "the city", "a town"],
    "forest": ["a forest", "forest", "the woods", "a pine forest", "the forest"],
    "mountains": ["mountains", "the mountains", "tall mountains", "a mountain valley", "the hills and mountains"],
    "lavender": ["a lavender field", "lavender", "purple flowers", "a field of lavender", "lavender flowers"],
}
OBJECT_WORDS = {
    "house": ["house", "house", "house", "cottage"],
    "tree": ["tree"],
    "tower": ["tower", "tower", "lighthouse"],
    "balloon": ["balloon", "balloon", "hot air balloon"],
    "boat": ["boat", "boat", "sailboat", "sailing boat"],
    "cactus": ["cactus"],
    "sun": ["sun"],
    "moon": ["moon", "full moon"],
}
PREFIX = [
    "a picture of",
    "a painting of",
    "an illustration of",
    "a storybook picture of",
    "a photo of",
    "a drawing of",
    "a beautiful picture of",
    "an image of",
]
WIDE_PREFIX = ["a panorama of", "a wide view of"]
PLURALS = {
    "house": "houses",
    "tree": "trees",
    "tower": "towers",
    "balloon": "balloons",
    "boat": "boats",
    "cactus": "cacti",
}
SUFFIX = [
    ", high quality",
    ", detailed",
    ", beautiful",
    ", high quality, detailed",
    ", best quality",
    ", masterpiece",
    ", colorful",
    ", landscape",
    ", storybook style",
]
EXTRA_WORDS = [
    "and",
    "or",
    "on",
    "in",
    "under",
    "over",
    "above",
    "with",
    "near",
    "next",
    "to",
    "by",
    "left",
    "right",
    "middle",
    "side",
    "a",
    "an",
    "the",
    "of",
    "two",
    "many",
    "big",
    "small",
    "large",
    "little",
    "low",
    "quality",
    "worst",
    "bad",
    "blurry",
    "ugly",
    "nothing",
    "empty",
    "black",
    "gray",
    "grey",
    "brown",
    "gold",
    "color",
    "colour",
    "very",
    "scenery",
    "background",
    "foreground",
    "horizon",
    "trees",
    "houses",
    "towers",
    "boats",
    "balloons",
    "cacti",
    "cloud",
    "clouds",
    "cloudy",
    "rain",
    "light",
    "art",
    "one",
    "three",
    "no",
    "not",
    "is",
    "there",
    "scene",
    "tile",
    "region",
    "wide",
    "far",
    "away",
]
SIGNS = [",", ".", ":", ";", "(", ")", "[", "]", "-", "!", "?", "'", '"', "/"]


def vocabulary() -> list[str]:
    """All words and signs of the captions, most common first; the tokenizer has one token for each."""
    texts = PREFIX[:-1] + WIDE_PREFIX + PREFIX[-1:] + SUFFIX + list(COLOURS)
    for table in (SKY_WORDS, GROUND_WORDS, OBJECT_WORDS):
        texts += [text for phrases in table.values() for text in phrases]
    texts += EXTRA_WORDS + SIGNS + [str(i) for i in range(10)]
    return list(dict.fromkeys(word for text in texts for word in text.replace(",", " , ").split()))
