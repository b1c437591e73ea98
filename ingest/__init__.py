"""The write side: bytes in, incidents out. The listing of this folder is the pipeline, in order."""
