"""A picture made of pictures, without end: drawn tile by tile into a folder that can be gone on with."""
