"""The sampling loop of `foundry run`: template variants, judged in a planned order."""
