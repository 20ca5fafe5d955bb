"""Settings: values, their versioned JSON, presets, and what other programs wrote."""
