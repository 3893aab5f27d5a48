"""Commands about chips that are not here: predict, choose what to time there, time it there."""
