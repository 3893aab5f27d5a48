"""What a model is told, and the judge's findings in words."""
