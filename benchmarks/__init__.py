"""Commands behind every figure of README and docs; each writes one file in `results/`, and resumes."""
