"""Whether a model is any good, said with intervals and beside the simplest model that could do the job."""
