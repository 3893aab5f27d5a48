"""What a model is told of a kernel that is wanted, and how its answer is read. Pure.

`assignment` is what is asked, `build` makes the prompt of it with the judge's findings in the
words of `feedback`, `answer` finds the kernel file in a reply. Searches, datasets and rewards share
them, so a model is trained on what it is asked later.
"""
