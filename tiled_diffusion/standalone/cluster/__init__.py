"""More than one GPU, more than one machine: pictures and tiles are drawn by workers, each with a copy of the model."""
