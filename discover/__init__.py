"""WHICH kernel to try next: a tree search whose proposers are LLMs, or work offline.

`protocol` is what a search and a proposer say to each other; everything rests on it.
From the bottom: `selection`, `drafts`, `budget` · `prompts`, `history` · `proposers`, `calls` ·
`search`, the search of one op · `autorun`, many ops overnight · `cli`.
"""
