"""What is said of the texts that were encoded last, for the record."""

last_extra_generation_params = {}
