"""Many distinct kernels for a dataset, and broken ones beside them: made, judged, kept."""
