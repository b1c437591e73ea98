"""Hostile input for every parser: seeds from the samples, changes that know the shape of a line, and what must hold."""
