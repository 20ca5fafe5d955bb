"""Jobs made of jobs, on whatever host."""
