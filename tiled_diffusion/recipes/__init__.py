"""Jobs made of jobs: what draws, encodes and enlarges several pictures to make one, on whatever host."""
