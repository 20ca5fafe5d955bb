"""From a photo of an empty picture frame to a print: the frame, a picture in it, the picture drawn anew, the print."""
